package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/cmd/bottle/tui"
)

func newSupervise(a *app) *cobra.Command {
	var once bool
	cmd := &cobra.Command{Use: "supervise", Short: superviseShort, Long: superviseLong, Args: cobra.NoArgs}
	cmd.Flags().BoolVar(&once, "once", false, flagSuperviseOnce)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		home, err := a.dir()
		if err != nil {
			return err
		}
		d := &desk{app: a, home: home}
		switch {
		case once:
			return d.print(cmd.Context())
		case !onTerminal():
			return errNoScreen()
		case tui.Kept():
			return tui.Run(cmd.Context(), d, os.Stdin, os.Stdout, os.Environ())
		}
		if err := home.Ensure(); err != nil {
			return err
		}
		self, err := os.Executable()
		if err != nil {
			return err
		}
		err = tui.Keep(exec.Command(self, os.Args[1:]...), os.Stdin, os.Stdout, string(home.Dir("supervise-crash.txt")))
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return exitCode(exit.ExitCode())
		}
		if crash, ok := errors.AsType[*tui.CrashError](err); ok {
			return withHint(crash, hintCrashed)
		}
		return err
	}
	return cmd
}

// print is the overview as plain text.
func (d *desk) print(ctx context.Context) error {
	slugs, err := d.Slugs(ctx)
	if err != nil {
		return err
	}
	bottles := make([]tui.Bottle, 0, len(slugs))
	var failed []error
	for _, slug := range slugs {
		b, err := d.Look(ctx, slug)
		if err != nil {
			failed = append(failed, errCannotLook(slug, err))
			continue
		}
		bottles = append(bottles, b)
	}
	return errors.Join(tui.Table(os.Stdout, bottles, time.Now()), errors.Join(failed...))
}
