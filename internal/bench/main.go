// Command bench measures the bundle against a direct connection and against
// mitmdump, all in one run on one machine, and prints one table.
//
// It expects bin/bottle and bin/sidecars, as `make bench` builds them, and
// mitmdump on PATH.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"text/tabwriter"
	"time"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "origin" {
		serveOrigin()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	lab, err := newLab(ctx)
	if err != nil {
		return err
	}
	defer lab.close()

	fmt.Println("egress: decisions, scanning and audit on; TLS on both sides; origin, proxy and load share this machine")
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tdirect\tegress\tmitmdump\tegress/direct\tegress/mitmdump\t")
	for _, m := range measurements {
		values := make([]float64, len(lab.ways))
		for i, w := range lab.ways {
			if values[i], err = m.measure(ctx, w, lab.origin); err != nil {
				return fmt.Errorf("%s, %s: %w", m.name, w.name, err)
			}
		}
		fmt.Fprintf(table, "%s\t"+m.format+"\t"+m.format+"\t"+m.format+"\t%.2f\t%.1f\t\n", m.name,
			values[0], values[1], values[2], values[1]/values[0], values[1]/values[2])
	}
	if err := table.Flush(); err != nil {
		return err
	}

	fmt.Println()
	figures, err := lab.figures(ctx)
	if err != nil {
		return err
	}
	for _, f := range figures {
		fmt.Fprintf(table, "%s\t%s\t%s\t\n", f.name, f.value, f.note)
	}
	return table.Flush()
}
