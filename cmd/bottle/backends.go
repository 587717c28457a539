package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/backend/docker"
	"github.com/claude-bottle/claude-bottle/backend/namespace"
	"github.com/claude-bottle/claude-bottle/state"
)

// newBackend makes each backend there is, by its name.
var newBackend = map[string]func(home state.Home) (backend.Backend, error){
	"namespace": func(home state.Home) (backend.Backend, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		sidecars, err := findSidecars()
		if err != nil {
			return nil, err
		}
		return namespace.New(namespace.Options{Home: home, Self: self, Sidecars: sidecars, BundleEnv: bundleEnv()}), nil
	},
	"docker": func(home state.Home) (backend.Backend, error) {
		options, err := dockerOptions(home)
		if err != nil {
			return nil, err
		}
		return docker.New(options), nil
	},
}

// backendNames is the order in which backends are listed and looked through.
func backendNames() []string { return []string{"namespace", "docker"} }

// backends are all there are.
func (a *app) backends() ([]backend.Backend, error) {
	home, err := a.dir()
	if err != nil {
		return nil, err
	}
	var all []backend.Backend
	for _, name := range backendNames() {
		b, err := newBackend[name](home)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// choice is a bottle's backend: the first that was named, by flag, by
// CLAUDE_BOTTLE_BACKEND, by the bottle file. When none was, it is docker where
// that is ready, else namespace. An engine is asked once, so that the plan and
// the start go by one answer.
type choice struct {
	home state.Home
	flag string
	made map[string]backend.Backend // by the bottle file's wish
}

func newChoice(home state.Home, flag string) *choice {
	return &choice{home, flag, make(map[string]backend.Backend)}
}

// backend is the one for a bottle file with this wish.
func (c *choice) backend(ctx context.Context, file string) (backend.Backend, error) {
	if b, ok := c.made[file]; ok {
		return b, nil
	}
	b, err := c.make(ctx, file)
	if err == nil {
		c.made[file] = b
	}
	return b, err
}

func (c *choice) make(ctx context.Context, file string) (backend.Backend, error) {
	for _, name := range []string{c.flag, os.Getenv("CLAUDE_BOTTLE_BACKEND"), file} {
		if name == "" {
			continue
		}
		made, ok := newBackend[name]
		if !ok {
			return nil, errUnknownBackend(name)
		}
		return made(c.home)
	}
	options, err := dockerOptions(c.home)
	if err != nil {
		return nil, err
	}
	if containers := docker.New(options).(*docker.Backend); containers.Ready(ctx) {
		return containers, nil
	}
	return newBackend[namespace.Name](c.home)
}

// ownPipelock tells plan.Prepare of backends whose bundles bring their own
// firewall.
func (c *choice) ownPipelock(ctx context.Context) func(string) (string, bool, error) {
	return func(file string) (string, bool, error) {
		b, err := c.backend(ctx, file)
		if err != nil {
			return "", false, err
		}
		image, ok := b.(interface {
			Pipelock(context.Context) (string, error)
		})
		if !ok {
			return "", false, nil
		}
		digest, err := image.Pipelock(ctx)
		if err != nil {
			return "", true, fmt.Errorf("pipelock: %w", err)
		}
		return digest, true, nil
	}
}

// findSidecars finds the bundle's program: $CLAUDE_BOTTLE_SIDECARS, beside
// this program, or on PATH.
func findSidecars() (string, error) {
	if path := os.Getenv("CLAUDE_BOTTLE_SIDECARS"); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return "", errNoSidecars([]string{"CLAUDE_BOTTLE_SIDECARS=" + path})
		}
		return filepath.Abs(path)
	}
	tried := []string{}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "sidecars")
		if _, err := exec.LookPath(beside); err == nil {
			return beside, nil
		}
		tried = append(tried, beside)
	}
	if path, err := exec.LookPath("sidecars"); err == nil {
		return filepath.Abs(path)
	}
	return "", errNoSidecars(append(tried, "sidecars on PATH"))
}

// forBundle are the variables that an operator may set for the bundle in the
// shell that runs `bottle up`.
var forBundle = []string{
	"CLAUDE_BOTTLE_MAX_CRASHES", "EGRESS_RESOLVER", "EGRESS_UPSTREAM_CA", "EGRESS_UPSTREAM_PROXY", "SUPERVISE_WAIT",
}

func bundleEnv() []string {
	var env []string
	for _, name := range forBundle {
		if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// pipelockPin is the digest of the firewall binary that the bundle accepts, as
// the bundle itself tells it; empty = it accepts none.
func pipelockPin(ctx context.Context) (string, error) {
	sidecars, err := findSidecars()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, sidecars, "version").Output()
	if err != nil {
		return "", errBrokenSidecars(sidecars, err)
	}
	for line := range strings.Lines(string(out)) {
		if pin, ok := strings.CutPrefix(strings.TrimSpace(line), "pipelock sha256 "); ok && len(pin) == 64 {
			return pin, nil
		}
	}
	return "", nil
}
