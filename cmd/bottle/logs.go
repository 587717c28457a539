package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

func newLogs(a *app) *cobra.Command {
	var follow, agent bool
	cmd := &cobra.Command{Use: "logs SLUG", Short: logsShort, Args: cobra.ExactArgs(1)}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, flagFollow)
	cmd.Flags().BoolVar(&agent, "agent", false, flagAgentLog)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		home, err := a.dir()
		if err != nil {
			return err
		}
		dir := home.Dir(args[0])
		file, err := dir.OpenOut(filepath.Base(dir.BundleLog()))
		if agent {
			file, err = os.Open(agentLog(dir))
		}
		if err != nil {
			return errNoLog(args[0], err)
		}
		defer file.Close()
		return copyLog(cmd.Context(), os.Stdout, file, follow)
	}
	return cmd
}

// copyLog copies a file and, when it follows, whatever is added to it.
func copyLog(ctx context.Context, to io.Writer, from io.Reader, follow bool) error {
	for {
		if _, err := io.Copy(to, from); err != nil || !follow {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
	}
}
