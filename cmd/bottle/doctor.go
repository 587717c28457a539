package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

// finding is one line of `bottle doctor`.
type finding struct {
	Check string `json:"check"`
	// State is "ok", "note" (works without) or "bad".
	State string `json:"state"`
	Told  string `json:"told"`
	Hint  string `json:"hint,omitempty"`
}

func newDoctor(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "doctor", Short: doctorShort, Args: cobra.NoArgs}
	a.jsonFlag(cmd)
	attacked := cmd.Flags().String("attack", "", flagAttack)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *attacked != "" {
			return a.attack(cmd.Context(), *attacked)
		}
		findings := a.examine(cmd.Context())
		if a.json {
			if err := printJSON(findings); err != nil {
				return err
			}
		}
		bad := 0
		for _, f := range findings {
			if !a.json {
				printFinding(f)
			}
			if f.State == "bad" {
				bad++
			}
		}
		if bad > 0 {
			return errUnhealthy(bad)
		}
		return nil
	}
	return cmd
}

// examine makes every check; one that fails does not stop the next.
func (a *app) examine(ctx context.Context) []finding {
	var all []finding
	add := func(check, told string, err error) bool {
		f := finding{Check: check, State: "ok", Told: told}
		if err != nil {
			f.State, f.Told = "bad", err.Error()
			if h, ok := errors.AsType[hinted](err); ok {
				f.Hint = h.hint
			}
		}
		all = append(all, f)
		return err == nil
	}

	home, err := a.dir()
	add("home folder", string(home), errors.Join(err, checkHome(home)))
	sidecars, err := findSidecars()
	if !add("bundle program", sidecars, err) {
		return all
	}
	pin, err := pipelockPin(ctx)
	if add("bundle version", docPin(pin), err) {
		all = append(all, checkPipelock(pin))
	}
	for _, program := range []string{"curl", "git"} {
		path, err := exec.LookPath(program)
		if err != nil {
			all = append(all, finding{Check: program, State: "note", Told: docMissingProgram})
			continue
		}
		add(program, path, nil)
	}
	var missing []int // backends; one that works is enough
	for _, name := range backendNames() {
		b, err := newBackend[name](home)
		if err == nil {
			err = b.Available(ctx)
		}
		if add("backend "+name, docAvailable, err) {
			add("containment "+name, docContained, proveContainment(ctx, name))
		} else {
			missing = append(missing, len(all)-1)
		}
	}
	if len(missing) < len(backendNames()) {
		for _, i := range missing {
			all[i].State = "note"
		}
	}
	return all
}

// checkHome reports a home folder that others may enter. One that does not
// exist yet is fine.
func checkHome(home state.Home) error {
	info, err := os.Stat(string(home))
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		return errOpenHome(string(home))
	}
	return nil
}

func checkPipelock(pin string) finding {
	f := finding{Check: "pipelock", State: "note"}
	path := os.Getenv("PIPELOCK_BIN")
	if path == "" {
		path = plan.PipelockBin
	}
	_, err := os.Stat(path)
	switch {
	case err != nil:
		f.Told = fmt.Sprintf(docNoPipelock, path)
	case pin == "":
		f.Told = docNoPin
	default:
		f.State, f.Told = "ok", path
	}
	return f
}

// proveContainment starts a bottle that reaches nothing, which the backend
// refuses to do when it is not contained, and ends it again.
func proveContainment(ctx context.Context, name string) error {
	dir, err := os.MkdirTemp("", "claude-bottle-doctor-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	home, workspace := state.Home(filepath.Join(dir, "home")), filepath.Join(dir, "workspace")
	if err := os.Mkdir(workspace, 0o700); err != nil {
		return err
	}
	p, err := prepare(ctx, newChoice(home, name), upFlags{workspace: workspace}, "", []string{"true"}, answers{})
	if err != nil {
		return err
	}
	b, err := newBackend[name](home)
	if err != nil {
		return err
	}
	if err := p.Write(home); err != nil {
		return err
	}
	bottle, err := b.Start(ctx, p, backend.Stdio{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}, func(string) {})
	if err != nil {
		return err
	}
	_, err = bottle.Wait(ctx)
	return err
}
