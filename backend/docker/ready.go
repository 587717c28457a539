package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

const (
	// readyPause is between two looks at a container's socket.
	readyPause = 10 * time.Millisecond
	// lookPause is between two questions to the engine, which is busy starting
	// containers.
	lookPause = 500 * time.Millisecond
)

// waitReady returns when every role of a container is ready. One that dies
// before that is not waited for.
func (s *start) waitReady(ctx context.Context, of service) error {
	name := of.container(s.plan.Slug)
	for looked := time.Now(); ; {
		report, _, err := askSocket(ctx, s.plan.State, of.part)
		if time.Since(looked) > lookPause {
			if dead := s.died(ctx, name); dead != nil {
				return dead
			}
			if err != nil { // where the engine is elsewhere, the socket is no socket here
				report, _, err = askHealth(ctx, s.api, s.plan.State, of.part, name)
			}
			looked = time.Now()
		}
		if err == nil && report.Ready {
			return nil
		}
		if err == nil {
			err = errors.New("not every role is ready")
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s is not ready: %w: %w", name, context.Cause(ctx), err), s.lastWords(name))
		case <-time.After(readyPause):
		}
	}
}

// died returns an error when a container has ended, or ended before and was
// started again.
func (s *start) died(ctx context.Context, name string) error {
	state, err := s.api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil || state.Container.State == nil || state.Container.State.Running && state.Container.RestartCount == 0 {
		return nil // an engine that does not answer is not the container's end
	}
	words := s.lastWords(name)
	if state.Container.State.Running {
		return errors.Join(fmt.Errorf("%s ended while it started", name), words)
	}
	return errors.Join(fmt.Errorf("%s ended with code %d while it started", name, state.Container.State.ExitCode), words)
}

// lastWords quotes the last error of a container's log, which holds no secrets.
func (s *start) lastWords(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	text, err := logs(ctx, s.api, name, "20")
	if err != nil || text == "" {
		return nil
	}
	var last string
	for line := range strings.Lines(text) {
		var said struct{ Level, Role, Error, Msg string }
		switch err := json.Unmarshal([]byte(line), &said); {
		case err != nil:
			last = strings.TrimSpace(line)
		case said.Level == "ERROR" && said.Error != "":
			last = said.Role + ": " + said.Error
		}
	}
	if last == "" {
		last = strings.TrimSpace(text)
	}
	return errors.New(last)
}
