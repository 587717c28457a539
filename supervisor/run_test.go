package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/claude-bottle/claude-bottle/supervisor"
)

var errBroken = errors.New("broken")

func waits(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func diesWith(codes ...int) func(context.Context) error {
	n := 0
	return func(ctx context.Context) error {
		if n == len(codes) {
			return waits(ctx)
		}
		n++
		return &supervisor.ExitError{Code: codes[n-1], Err: errBroken}
	}
}

func TestEachWayToDieEndsTheBundle(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(context.Context) error
		code int
	}{
		{"an error", func(context.Context) error { return errBroken }, 1},
		{"nil before the end", func(context.Context) error { return nil }, 1},
		{"a panic", func(context.Context) error { panic("boom") }, 1},
		{"a nil dereference", func(context.Context) error { var p *int; *p = 1; return nil }, 1},
		{"Goexit", func(context.Context) error { runtime.Goexit(); return nil }, 1},
		{"a child's code", diesWith(7, 7, 7), 7},
		{"a child killed by a signal", diesWith(137, 137, 137), 137},
		{"a wrapped code", func(context.Context) error {
			return fmt.Errorf("child: %w", &supervisor.ExitError{Code: 9, Err: errBroken})
		}, 9},
		{"a child that ended well, unasked", diesWith(0, 0, 0), 1},
		{"several codes: the first", diesWith(5, 6, 7), 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				siblingStopped := false
				code := supervisor.Run(t.Context(), supervisor.Config{
					MaxCrashes: 3,
					Roles: []supervisor.Role{
						{Name: "victim", Run: c.run},
						{Name: "sibling", Run: func(ctx context.Context) error {
							defer func() { siblingStopped = true }()
							return waits(ctx)
						}},
					},
				})
				if code != c.code {
					t.Errorf("code %d, want %d", code, c.code)
				}
				if !siblingStopped {
					t.Error("Run returned before the sibling did")
				}
			})
		})
	}
}

func TestStopOnRequestIsClean(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, cancel)
		code := supervisor.Run(ctx, supervisor.Config{
			Roles: []supervisor.Role{
				{Name: "a", Run: waits},
				{Name: "fails while stopping", Run: func(ctx context.Context) error {
					<-ctx.Done()
					return &supervisor.ExitError{Code: 137, Err: errBroken}
				}},
				{Name: "panics while stopping", Run: func(ctx context.Context) error {
					<-ctx.Done()
					panic("boom")
				}},
			},
			OnDeath: func(role string, err error, _ bool) { t.Errorf("death of %s: %v", role, err) },
		})
		if code != 0 {
			t.Errorf("code %d, want 0", code)
		}
	})
}

func TestWithoutRolesItIdles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if code := supervisor.Run(ctx, supervisor.Config{}); code != 0 {
			t.Errorf("code %d, want 0", code)
		}
		if idled := time.Since(start); idled != time.Hour {
			t.Errorf("idled %v, want until the context ended", idled)
		}
	})
}

func TestMaxCrashes(t *testing.T) {
	for _, c := range []struct{ max, deaths int }{{0, 1}, {1, 1}, {2, 2}, {3, 3}, {200, 200}} {
		t.Run(fmt.Sprint(c.max), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var restarts []bool
				start := time.Now()
				code := supervisor.Run(t.Context(), supervisor.Config{
					MaxCrashes: c.max,
					Roles:      []supervisor.Role{{Name: "a", Run: func(context.Context) error { return errBroken }}},
					OnDeath:    func(_ string, _ error, restart bool) { restarts = append(restarts, restart) },
				})
				if code != 1 || len(restarts) != c.deaths {
					t.Errorf("code %d after %d deaths, want 1 after %d", code, len(restarts), c.deaths)
				}
				if n := slices.Index(restarts, false); n != c.deaths-1 {
					t.Errorf("restarts said %v: only the last must be final", restarts)
				}
				if took := time.Since(start); took > 30*time.Second {
					t.Errorf("took %v: the back-off outgrew the window", took)
				}
			})
		})
	}
}

func TestOldDeathsAreForgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		deaths := 0
		code := supervisor.Run(ctx, supervisor.Config{
			MaxCrashes: 3,
			Roles: []supervisor.Role{{Name: "a", Run: func(ctx context.Context) error {
				select {
				case <-time.After(16 * time.Second): // two in 30 s, never three
					return &supervisor.ExitError{Code: 7, Err: errBroken}
				case <-ctx.Done():
					return nil
				}
			}}},
			OnDeath: func(string, error, bool) { deaths++ },
		})
		if code != 0 || deaths < 200 {
			t.Errorf("code %d after %d deaths; want 0 after all of an hour's", code, deaths)
		}
	})
}

func TestBackOffGrowsFromSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		supervisor.Run(t.Context(), supervisor.Config{
			MaxCrashes: 5,
			Roles: []supervisor.Role{{Name: "a", Run: func(context.Context) error {
				at = append(at, time.Now())
				return errBroken
			}}},
		})
		for i, most := range []time.Duration{50, 100, 200, 400} {
			most *= time.Millisecond
			if pause := at[i+1].Sub(at[i]); pause < most/2 || pause > most {
				t.Errorf("pause %d was %v, want %v to %v", i+1, pause, most/2, most)
			}
		}
	})
}

func TestOneRolesDeathsAreNotAnothers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		code := supervisor.Run(ctx, supervisor.Config{
			MaxCrashes: 3,
			Roles: []supervisor.Role{
				{Name: "a", Run: diesWith(7, 7)},
				{Name: "b", Run: diesWith(8, 8)},
			},
		})
		if code != 0 {
			t.Errorf("code %d: two deaths of each of two roles are not three of one", code)
		}
	})
}

func TestPermanentEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := supervisor.Permanent(&supervisor.ExitError{Code: 9, Err: errBroken})
		if err.Error() != "broken" || !errors.Is(err, errBroken) {
			t.Errorf("Permanent changed the error: %v", err)
		}
		code := supervisor.Run(t.Context(), supervisor.Config{
			MaxCrashes: 100,
			Roles:      []supervisor.Role{{Name: "a", Run: func(context.Context) error { return err }}, {Name: "b", Run: waits}},
		})
		if code != 1 || time.Since(start) != 0 {
			t.Errorf("code %d after %v, want 1 at once", code, time.Since(start))
		}
	})
	if supervisor.Permanent(nil) != nil {
		t.Error("Permanent(nil) is an error")
	}
}

func TestAHungRoleIsLeftBehindAfterTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		defer close(forever)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		var stuck []string
		code := supervisor.Run(ctx, supervisor.Config{
			Roles: []supervisor.Role{
				{Name: "hangs", Run: func(context.Context) error { <-forever; return nil }},
				{Name: "slow", Run: func(ctx context.Context) error {
					<-ctx.Done()
					time.Sleep(7 * time.Second)
					return nil
				}},
			},
			OnStuck: func(role string) { stuck = append(stuck, role) },
		})
		if code != 0 || time.Since(start) != 8*time.Second || !slices.Equal(stuck, []string{"hangs"}) {
			t.Errorf("code %d after %v, stuck %v; want 0 after 8s, [hangs]", code, time.Since(start), stuck)
		}
	})
}

func TestADeadCallsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left atomic.Int32
		calls := 0
		supervisor.Run(t.Context(), supervisor.Config{
			MaxCrashes: 3,
			Roles: []supervisor.Role{{Name: "a", Run: func(ctx context.Context) error {
				if calls++; calls > 1 && left.Load() != 0 {
					t.Error("called again while the last call's helper still runs")
				}
				left.Add(1)
				go func() { <-ctx.Done(); left.Add(-1) }()
				return errBroken
			}}},
		})
		if calls != 3 {
			t.Errorf("%d calls, want 3", calls)
		}
	})
}

func TestAPanicKeepsItsStack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var death *supervisor.PanicError
		supervisor.Run(t.Context(), supervisor.Config{
			Roles: []supervisor.Role{{Name: "a", Run: func(context.Context) error { panic("boom") }}},
			OnDeath: func(_ string, err error, _ bool) {
				if !errors.As(err, &death) {
					t.Errorf("death is %v, want a PanicError", err)
				}
			},
		})
		if death == nil || death.Error() != "panic: boom" || len(death.Stack) == 0 {
			t.Errorf("death is %+v", death)
		}
	})
}

// TestRolesThatDieWhileOthersAreStarted outside a bubble: the first role is
// gone before the last one runs.
func TestRolesThatDieWhileOthersAreStarted(t *testing.T) {
	var roles []supervisor.Role
	for i := range 200 {
		roles = append(roles, supervisor.Role{Name: fmt.Sprint(i), Run: func(context.Context) error {
			return supervisor.Permanent(errBroken)
		}})
	}
	for range 20 {
		if code := supervisor.Run(t.Context(), supervisor.Config{Roles: roles}); code != 1 {
			t.Fatalf("exit code %d, want 1", code)
		}
	}
}
