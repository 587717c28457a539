package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// Run shows the view on the terminal at in and out until the operator quits or
// ctx ends. environ says what the terminal can do (TERM, NO_COLOR, SSH_TTY; see
// os.Environ). It catches no panic: that is Keep's part.
func Run(ctx context.Context, desk Desk, in, out *os.File, environ []string) error {
	colours := wantsColours(environ)
	options := []tea.ProgramOption{
		tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithEnvironment(environ),
		tea.WithoutCatchPanics(), tea.WithFilter(finishFirst),
	}
	if !colours {
		options = append(options, tea.WithColorProfile(colorprofile.ASCII))
	}
	p := tea.NewProgram(newModel(ctx, desk, time.Now, colours), options...)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	gone, done := lifeline(), make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-hangup:
			p.Quit()
		case <-gone:
			p.Quit()
		case <-done:
		}
	}()
	if _, err := p.Run(); err != nil && !errors.Is(err, tea.ErrInterrupted) && ctx.Err() == nil {
		return fmt.Errorf("the terminal: %w", err)
	}
	return ctx.Err()
}

// finishFirst lets the view end only when no change is half done.
func finishFirst(running tea.Model, msg tea.Msg) tea.Msg {
	if m, ok := running.(*model); ok && m.mode == applying {
		switch msg.(type) {
		case tea.QuitMsg, tea.InterruptMsg:
			m.quitting = true
			return nil
		}
	}
	return msg
}

// wantsColours reads NO_COLOR (https://no-color.org: any value but none) and
// TERM.
func wantsColours(environ []string) bool {
	env := make(map[string]string, len(environ))
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return env["NO_COLOR"] == "" && env["TERM"] != "" && env["TERM"] != "dumb"
}
