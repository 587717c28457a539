package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/claude-bottle/claude-bottle/proposal"
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
		return copyLog(cmd.Context(), logOutput(), file, follow)
	}
	return cmd
}

// copyLog copies a file and, when it follows, whatever is added to it.
func copyLog(ctx context.Context, to io.Writer, from io.Reader, follow bool) error {
	lines := bufio.NewReaderSize(from, longestLogLine)
	for {
		line, err := lines.ReadSlice('\n')
		if _, err := to.Write(line); err != nil {
			return err
		}
		if err == nil || errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if !errors.Is(err, io.EOF) || !follow {
			return ignoreEOF(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

const longestLogLine = 64 << 10

// terminalWriter shows a stranger's lines at a terminal, without what a
// terminal would obey.
type terminalWriter struct{ io.Writer }

func (w terminalWriter) Write(line []byte) (int, error) {
	shown := proposal.Clean(string(line), longestLogLine)
	if bytes.HasSuffix(line, []byte("\n")) {
		shown += "\n"
	}
	_, err := io.WriteString(w.Writer, shown)
	return len(line), err
}

// logOutput is stdout; a terminal is spared the agent's sequences.
func logOutput() io.Writer {
	if term.IsTerminal(int(os.Stdout.Fd())) {
		return terminalWriter{os.Stdout}
	}
	return os.Stdout
}
