package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/backend"
)

// detachKey leaves an attached terminal: Ctrl-], as in telnet.
const detachKey = 0x1d

// plainTerminal undoes what a program that fills the screen had asked for: the
// second screen, a hidden cursor, mouse reports, bracketed paste, colours.
const plainTerminal = "\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[0m"

// errLeft is why an attachment ends that the operator left.
var errLeft = errors.New("detached")

func newAttach(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "attach SLUG", Short: attachShort, Long: attachLong, Args: cobra.ExactArgs(1)}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		bottle, _, err := a.open(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		ctx, leave := context.WithCancelCause(ctx)
		defer leave(nil)
		if onTerminal() {
			say(attachedText)
		}
		c := newConsole()
		if err := c.raw(); err != nil {
			c.restore()
			return err
		}
		streams := c.streams
		if streams.Terminal {
			streams.In = keys{from: streams.In, leave: func() { leave(errLeft) }}
		}
		code, err := bottle.Attach(ctx, streams)
		if streams.Terminal {
			_, _ = os.Stdout.WriteString(plainTerminal)
		}
		c.restore()
		switch {
		case errors.Is(err, errLeft):
			say(detachedText, args[0])
			return nil
		case errors.Is(err, backend.ErrNoTerminal):
			return withHint(err, hintNoTerminal, args[0])
		case err != nil:
			return err
		case code != 0:
			return exitCode(code)
		}
		return nil
	}
	return cmd
}

// keys is what is typed, up to the key that leaves.
type keys struct {
	from  io.Reader
	leave func()
}

func (k keys) Read(p []byte) (int, error) {
	n, err := k.from.Read(p)
	if i := bytes.IndexByte(p[:n], detachKey); i >= 0 {
		k.leave()
		return i, io.EOF
	}
	return n, err
}
