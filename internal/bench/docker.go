package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// The images that the docker part starts; scripts/docker-engine makes the
// agent's.
const (
	benchImage = "claude-bottle-sidecars:bench"
	agentImage = "claude-bottle-agent:test"
	dockerRuns = 5
)

// shape is how the roles are divided over containers.
type shape struct{ name, variable string }

var shapes = []shape{{"bundle", "1"}, {"split", "0"}}

// benchDocker prints how bottles come and go on a Docker engine, in both shapes.
func benchDocker(ctx context.Context, out io.Writer, dir string) error {
	d := docker{dir: filepath.Join(dir, "docker")}
	if err := d.prepare(ctx); err != nil {
		return err
	}
	size, err := command(ctx, nil, "docker", "image", "inspect", "-f", "{{.Size}}", benchImage)
	if err != nil {
		return err
	}
	bytes, err := strconv.ParseFloat(strings.TrimSpace(size), 64)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "docker: images there, medians of %d; the image with the firewall's stand-in is %.1f MB; budget 60\n", dockerRuns, bytes/1e6)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tup to first instruction, ms\tdown, ms\tRSS of all roles idle, MB\t")
	for _, s := range shapes {
		up, err := median(dockerRuns, func(int) (time.Duration, error) { return d.up(ctx, s) })
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		var memory float64
		down, err := median(dockerRuns, func(int) (took time.Duration, err error) {
			took, memory, err = d.down(ctx, s)
			return took, err
		})
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.0f\t\n", s.name, milliseconds(up), milliseconds(down), memory)
	}
	fmt.Fprintln(table, "budget\t1500\t\t60\t")
	return table.Flush()
}

// docker is a home folder with a bottle of all that needs no remote.
type docker struct{ dir string }

func (d docker) env(s shape) []string {
	return append(os.Environ(), "CLAUDE_BOTTLE_HOME="+filepath.Join(d.dir, "home"), "CLAUDE_BOTTLE_SIDECAR_IMAGE="+benchImage,
		"CLAUDE_BOTTLE_SIDECAR_BUNDLE="+s.variable)
}

func (d docker) prepare(ctx context.Context) error {
	for _, folder := range []string{"home/bottles", "work"} {
		if err := os.MkdirAll(filepath.Join(d.dir, folder), 0o700); err != nil {
			return err
		}
	}
	bottle := "---\nagent: {image: \"" + agentImage + "\"}\nsupervise: true\npipelock: required\negress:\n  routes: [{host: example.com}]\n---\n"
	if err := os.WriteFile(filepath.Join(d.dir, "home/bottles/bench.md"), []byte(bottle), 0o600); err != nil {
		return err
	}
	_, err := command(ctx, append(os.Environ(), "IMAGE="+benchImage, "PIPELOCK_BIN="+standIn), "scripts/image")
	return err
}

func (d docker) args(more ...string) []string {
	return append([]string{"up", "--backend", "docker", "--bottle", "bench", "--workspace", filepath.Join(d.dir, "work")}, more...)
}

// up measures from exec of the CLI until the agent's first instruction, which
// prints the time.
func (d docker) up(ctx context.Context, s shape) (time.Duration, error) {
	start := time.Now()
	printed, err := command(ctx, d.env(s), "bin/bottle", d.args("--", "date", "+%s.%N")...)
	if err != nil {
		return 0, err
	}
	return since(start, printed)
}

// down measures the end of a bottle that was up, and the memory of its roles
// before.
func (d docker) down(ctx context.Context, s shape) (took time.Duration, memory float64, err error) {
	printed, err := command(ctx, d.env(s), "bin/bottle", d.args("-d", "--", "sleep", "600")...)
	if err != nil {
		return 0, 0, err
	}
	slug := strings.TrimSpace(printed)
	ids, err := command(ctx, nil, "docker", "ps", "-q", "--filter", "label=claude-bottle.slug="+slug)
	if err != nil {
		return 0, 0, err
	}
	for _, id := range strings.Fields(ids) {
		about, err := command(ctx, nil, "docker", "inspect", "-f", `{{.State.Pid}} {{index .Config.Labels "claude-bottle.part"}}`, id)
		if err != nil {
			return 0, 0, err
		}
		pid, part, _ := strings.Cut(strings.TrimSpace(about), " ")
		if part == "agent" {
			continue
		}
		mb, err := familyMB(pid)
		if err != nil {
			return 0, 0, err
		}
		memory += mb
	}
	start := time.Now()
	_, err = command(ctx, d.env(s), "bin/bottle", "down", slug)
	return time.Since(start), memory, err
}

// familyMB is the resident memory of a process and its children.
func familyMB(pid string) (float64, error) {
	number, err := strconv.Atoi(pid)
	if err != nil {
		return 0, err
	}
	sum, err := residentMB(number)
	if err != nil {
		return 0, err
	}
	children, err := filepath.Glob("/proc/" + pid + "/task/*/children")
	if err != nil {
		return 0, err
	}
	for _, file := range children {
		list, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		for _, child := range strings.Fields(string(list)) {
			mb, err := familyMB(child)
			if err != nil {
				return 0, err
			}
			sum += mb
		}
	}
	return sum, nil
}

// command runs a program and returns what it printed; nil env = this process's.
func command(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, stderr.String())
	}
	return string(out), nil
}
