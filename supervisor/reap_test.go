package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/supervisor"
)

// The test binary is its own PID 1: with this variable it runs a scenario.
const scenarioEnv = "SUPERVISOR_TEST_SCENARIO"

var scenarios = map[string]func() error{
	"300 children leave orphans": childrenLeaveOrphans,
	"kill all":                   killAll,
}

func TestMain(m *testing.M) {
	name := os.Getenv(scenarioEnv)
	if name == "" {
		os.Exit(m.Run())
	}
	err := unix.Mount("proc", "/proc", "proc", 0, "")
	if err == nil {
		err = scenarios[name]()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestAsPID1(t *testing.T) {
	for name := range scenarios {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), scenarioEnv+"="+name)
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUSER,
				UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
				GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

// childrenLeaveOrphans runs children that each leave a grandchild behind, and
// looks that no exit status got lost and no zombie stays.
func childrenLeaveOrphans() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("pid is %d, want 1", os.Getpid())
	}
	var reaper supervisor.Reaper
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	reaperDone := make(chan error, 1)
	go func() { reaperDone <- reaper.Run(ctx) }()

	const children, atOnce = 300, 8
	var (
		mu   sync.Mutex
		errs []error
		wg   sync.WaitGroup
	)
	slots := make(chan struct{}, atOnce)
	for i := range children {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			want := i % 100
			cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf("(sleep 0.05) & exit %d", want))
			err := reaper.Start(cmd)
			if err == nil {
				err = cmd.Wait()
			}
			var exit *exec.ExitError
			if want == 0 && err == nil || errors.As(err, &exit) && exit.ExitCode() == want {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, fmt.Errorf("child %d: %v, want exit status %d", i, err, want))
		})
	}
	wg.Wait()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		left, err := processes()
		if err != nil {
			return err
		}
		if len(left) == 1 {
			break
		}
		if time.Now().After(deadline) {
			errs = append(errs, fmt.Errorf("left over: %v", left))
			break
		}
	}
	cancel()
	if err := <-reaperDone; !errors.Is(err, context.Canceled) {
		errs = append(errs, fmt.Errorf("reaper: %w", err))
	}
	return errors.Join(errs...)
}

// killAll leaves alone what is already gone, and kills the rest.
func killAll() error {
	var reaper supervisor.Reaper
	gone, alive := exec.Command("/bin/true"), exec.Command("/bin/sleep", "1000")
	for _, cmd := range []*exec.Cmd{gone, alive} {
		if err := reaper.Start(cmd); err != nil {
			return err
		}
	}
	if err := gone.Wait(); err != nil {
		return err
	}
	reaper.KillAll()
	alive.Wait()
	if alive.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		return fmt.Errorf("child: %v, want killed", alive.ProcessState)
	}
	return nil
}

func processes() ([]string, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	var all []string
	for _, stat := range stats {
		if line, err := os.ReadFile(stat); err == nil {
			all = append(all, strings.Join(strings.Fields(string(line))[:3], " "))
		}
	}
	return all, err
}

func TestStartOfAMissingProgramIsAnError(t *testing.T) {
	var reaper supervisor.Reaper
	if err := reaper.Start(exec.Command("/nonexistent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want not exist", err)
	}
}
