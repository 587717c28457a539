package supervisor

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"
)

var (
	errReturned = errors.New("returned although nobody told it to stop")
	errExited   = errors.New("ended its goroutine although nobody told it to stop")
)

// Run runs every role until ctx ends or one role is given up, stops the
// others, and returns the exit code: 0 after a stop that ctx asked for, else
// the code of the first death, within Window, of the role that was given up.
// It returns only when every role returned or Grace is over. Without roles it
// waits for ctx and returns 0.
func Run(ctx context.Context, c Config) int {
	if c.Window == 0 {
		c.Window = defaultWindow
	}
	if c.Grace == 0 {
		c.Grace = defaultGrace
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	s := &supervision{config: c, stop: stop, running: make(map[string]int)}
	returned := make(chan struct{})
	var roles sync.WaitGroup
	for _, role := range c.Roles { // before any runs: it may return at once
		s.running[role.Name]++
	}
	for _, role := range c.Roles {
		roles.Go(func() { s.keep(ctx, role) })
	}
	go func() {
		roles.Wait()
		close(returned)
	}()

	<-ctx.Done()
	grace := time.NewTimer(c.Grace)
	defer grace.Stop()
	select {
	case <-returned:
	case <-grace.C:
		s.reportStuck()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exitCode
}

type supervision struct {
	config Config
	stop   context.CancelFunc

	mu       sync.Mutex
	running  map[string]int // roles that have not returned for good
	exitCode int            // of the role that was given up first
	givenUp  bool
}

// keep runs one role again and again until ctx ends or it has died too often.
func (s *supervision) keep(ctx context.Context, role Role) {
	defer s.returned(role.Name)
	h := history{window: s.config.Window, max: max(s.config.MaxCrashes, 1)}
	for {
		err := runOnce(ctx, role)
		if ctx.Err() != nil {
			return
		}
		h.died(time.Now(), code(err))
		if errors.Is(err, ErrPermanent) {
			s.giveUp(role.Name, err, code(err))
			return
		}
		if h.exhausted() {
			s.giveUp(role.Name, err, h.firstCode())
			return
		}
		s.report(role.Name, err, true)
		select {
		case <-ctx.Done():
			return
		case <-time.After(h.backOff()):
		}
	}
}

// runOnce turns each way a role can die into an error. The context of the
// call ends with it, so that nothing a dead role left behind goes on.
func runOnce(ctx context.Context, role Role) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dead := make(chan error, 1)
	go func() { // its own goroutine, so that even runtime.Goexit is seen
		err := errExited
		defer func() {
			if value := recover(); value != nil {
				err = &PanicError{Value: value, Stack: debug.Stack()}
			}
			dead <- err
		}()
		if err = role.Run(ctx); err == nil {
			err = errReturned
		}
	}()
	return <-dead
}

func (s *supervision) report(role string, err error, restart bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.config.OnDeath != nil {
		s.config.OnDeath(role, err, restart)
	}
}

// giveUp tears everything down. When several roles are given up at once, the
// first one's code counts.
func (s *supervision) giveUp(role string, err error, code int) {
	s.report(role, err, false)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.givenUp {
		s.givenUp, s.exitCode = true, code
	}
	s.stop()
}

func (s *supervision) returned(role string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[role]--; s.running[role] == 0 {
		delete(s.running, role)
	}
}

func (s *supervision) reportStuck() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.config.OnStuck == nil {
		return
	}
	for role := range s.running {
		s.config.OnStuck(role)
	}
}
