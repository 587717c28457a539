package supervisor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Reaper buries the orphans that become children of PID 1, and only those: the
// exit status of a child started with Start stays for its (*exec.Cmd).Wait.
// The zero value is ready. Who is not PID 1 may use Start all the same and
// need not call Run.
type Reaper struct {
	mu  sync.Mutex
	own map[int]string // pid → start time, of children that Start started
}

// Start starts cmd as cmd.Start does. While a Reaper runs, a child started in
// any other way may lose its exit status.
func (r *Reaper) Start(cmd *exec.Cmd) error {
	r.mu.Lock() // no sweep may fall between the fork and the registration
	defer r.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	if r.own == nil {
		r.own = make(map[int]string)
	}
	r.own[cmd.Process.Pid] = startTime(cmd.Process.Pid)
	return nil
}

// Run reaps until ctx ends, and returns its error, or at once with another
// when this system does not tell a process its children.
func (r *Reaper) Run(ctx context.Context) error {
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	defer signal.Stop(died)
	for {
		if err := r.sweep(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-died:
		}
	}
}

// KillAll kills every child that Start started and that still runs.
func (r *Reaper) KillAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for pid, started := range r.own {
		if startTime(pid) == started {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// sweep reaps each dead child that Start did not start.
func (r *Reaper) sweep() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	children, err := children()
	if err != nil {
		return fmt.Errorf("reap orphans: %w", err)
	}
	for pid, started := range r.own {
		// Waited for since the last sweep. Its number may have gone to an
		// orphan already, whose start time then is another.
		if startTime(pid) != started {
			delete(r.own, pid)
		}
	}
	for _, pid := range children {
		if _, ours := r.own[pid]; !ours {
			reap(pid)
		}
	}
	return nil
}

func reap(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err != unix.EINTR {
			return
		}
	}
}

// children lists the children of every thread, dead ones included.
func children() ([]int, error) {
	files, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no /proc/self/task/*/children: is /proc mounted? (%w)", os.ErrNotExist)
	}
	var pids []int
	for _, file := range files {
		list, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended; its children went to another one
		}
		for field := range strings.FieldsSeq(string(list)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// startTime is field 22 of /proc/PID/stat, "" when there is no such process.
func startTime(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name in parentheses may hold blanks and parentheses itself.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const startTimeField = 22 - 3 // after the name come fields 3 and on
	if len(fields) <= startTimeField {
		return ""
	}
	return fields[startTimeField]
}
