// Command bench measures the bundle: egress against a direct connection, against
// a proxy that does nothing and against mitmdump, start times, memory and size, git through the gate against
// git directly, scanning against gitleaks, and bottles on a Docker engine. All in
// one run on one machine, in tables. Arguments choose among egress, git, scan and
// docker.
//
// It expects bin/bottle, bin/sidecars, bin/bench-scan and bin/bench-scan-re2, as
// `make bench` builds them, mitmdump on PATH, OpenSSH's server, and the engine and
// the agent's image that scripts/docker-engine sees to.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case "origin":
			serveOrigin()
		case "bare":
			serveBare()
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fatal(err)
	}
}

var parts = map[string]func(ctx context.Context, out io.Writer, dir string) error{
	"egress": benchEgress, "git": benchGit, "scan": benchScanning, "docker": benchDocker,
}

func run(ctx context.Context, names []string) error {
	if len(names) == 0 {
		names = []string{"egress", "git", "scan", "docker"}
	}
	dir, err := os.MkdirTemp("", "claude-bottle-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for i, name := range names {
		part, ok := parts[name]
		if !ok {
			return fmt.Errorf("%q is none of egress, git, scan and docker", name)
		}
		if i > 0 {
			fmt.Println()
		}
		if err := part(ctx, os.Stdout, dir); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// benchEgress prints a table of requests three ways, and the bundle's figures.
func benchEgress(ctx context.Context, out io.Writer, dir string) error {
	lab, err := newLab(ctx, dir)
	if err != nil {
		return err
	}
	defer lab.close()

	fmt.Fprintln(out, "egress: decisions, scanning and audit on; TLS on both sides; origin, proxy and load share this machine")
	fmt.Fprintln(out, "bare: a proxy in Go that ends TLS and begins it anew, and does nothing else")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tdirect\tbare\tegress\tmitmdump\tbare/direct\tegress/direct\tegress/mitmdump\t")
	for _, m := range measurements {
		v, err := lab.measure(ctx, m)
		if err != nil {
			return err
		}
		row := "%s\t" + strings.Repeat(m.format+"\t", len(v)) + "%.2f\t%.2f\t%.1f\t\n"
		fmt.Fprintf(table, row, m.name, v[0], v[1], v[2], v[3], v[1]/v[0], v[2]/v[0], v[2]/v[3])
	}
	if err := table.Flush(); err != nil {
		return err
	}

	fmt.Fprintln(out)
	figures, err := lab.figures(ctx)
	if err != nil {
		return err
	}
	for _, f := range figures {
		fmt.Fprintf(table, "%s\t%s\t%s\t\n", f.name, f.value, f.note)
	}
	return table.Flush()
}
