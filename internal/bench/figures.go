package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// figure is one line of the second table.
type figure struct{ name, value, note string }

// figures are start times, memory and size. The idle bundle is one of its own:
// the one under load holds buffers that an idle one never had.
func (l *lab) figures(ctx context.Context) ([]figure, error) {
	exec, err := median(9, func(i int) (time.Duration, error) { return l.bundleStart(ctx, i) })
	if err != nil {
		return nil, fmt.Errorf("bundle start: %w", err)
	}
	up, err := median(9, func(int) (time.Duration, error) { return l.bottleUp(ctx) })
	if err != nil {
		return nil, fmt.Errorf("bottle up: %w", err)
	}
	idle, err := l.idleMemory(ctx)
	if err != nil {
		return nil, err
	}
	loaded, err := residentMB(l.bundle.Process.Pid)
	if err != nil {
		return nil, err
	}
	recorded, err := l.auditFigure(ctx)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	changed, err := l.changeFigures(ctx)
	if err != nil {
		return nil, fmt.Errorf("changes: %w", err)
	}
	figures := []figure{
		{"bundle exec to ready, ms", fmt.Sprintf("%.0f", milliseconds(exec)), "median of 9; budget 150"},
		{"bottle up to first instruction, ms", fmt.Sprintf("%.0f", milliseconds(up)), "median of 9, namespace; budget 300"},
		{"bundle RSS idle, MB", fmt.Sprintf("%.0f", idle), "budget 60"},
		{"bundle RSS after the load above, MB", fmt.Sprintf("%.0f", loaded), ""},
		recorded,
	}
	figures = append(figures, changed...)
	for _, name := range []string{"bin/sidecars", "bin/bottle"} {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{name + ", MB", fmt.Sprintf("%.1f", float64(info.Size())/1e6), "static, stripped"})
	}
	return figures, nil
}

func median(n int, sample func(i int) (time.Duration, error)) (time.Duration, error) {
	var all []time.Duration
	for i := range n {
		d, err := sample(i)
		if err != nil {
			return 0, err
		}
		all = append(all, d)
	}
	return middle(all), nil
}

// middle is the median; it sorts.
func middle(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// bundleStart measures from exec until health says ready.
func (l *lab) bundleStart(ctx context.Context, i int) (time.Duration, error) {
	var took time.Duration
	err := l.withBundle(ctx, fmt.Sprintf("start-%d.sock", i), func(_ *exec.Cmd, d time.Duration) error {
		took = d
		return nil
	})
	return took, err
}

func (l *lab) idleMemory(ctx context.Context) (mb float64, err error) {
	err = l.withBundle(ctx, "idle.sock", func(cmd *exec.Cmd, _ time.Duration) error {
		time.Sleep(2 * time.Second)
		mb, err = residentMB(cmd.Process.Pid)
		return err
	})
	return mb, err
}

func (l *lab) withBundle(ctx context.Context, socket string, use func(*exec.Cmd, time.Duration) error) error {
	address, err := freeAddress()
	if err != nil {
		return err
	}
	cmd := l.bundleCommand(ctx, address, l.path(socket))
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer cmd.Process.Signal(os.Interrupt)
	if err := ready(ctx, l.path(socket)); err != nil {
		return err
	}
	return use(cmd, time.Since(start))
}

// bottleUp measures from exec of the CLI until the agent's first instruction,
// which prints the time.
func (l *lab) bottleUp(ctx context.Context) (time.Duration, error) {
	home := l.path("home")
	if err := os.MkdirAll(filepath.Join(home, "bottles"), 0o700); err != nil {
		return 0, err
	}
	bottle := "---\negress:\n  routes: [{host: example.com}]\n---\n"
	if err := os.WriteFile(filepath.Join(home, "bottles", "bench.md"), []byte(bottle), 0o600); err != nil {
		return 0, err
	}
	workspace := l.path("workspace")
	if err := os.MkdirAll(workspace, 0o700); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "bin/bottle", "up", "--backend", "namespace", "--bottle", "bench",
		"--workspace", workspace, "--", "date", "+%s.%N")
	cmd.Env = append(os.Environ(), "CLAUDE_BOTTLE_HOME="+home)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	start := time.Now()
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, stderr.String())
	}
	return since(start, string(out))
}

// since is the time from start to what `date +%s.%N` printed.
func since(start time.Time, printed string) (time.Duration, error) {
	var seconds, nanoseconds int64
	if _, err := fmt.Sscanf(printed, "%d.%d", &seconds, &nanoseconds); err != nil {
		return 0, fmt.Errorf("the agent printed %q: %w", printed, err)
	}
	return time.Unix(seconds, nanoseconds).Sub(start), nil
}

func residentMB(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kb float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kb); err == nil {
			return kb / 1000, nil
		}
	}
	return 0, fmt.Errorf("no VmRSS for process %d", pid)
}
