package pipelock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPin(t *testing.T) {
	wrong := strings.Repeat("0", 64)
	for name, change := range map[string]func(*lab){
		"no pin":      func(l *lab) { l.config.SHA256 = "" },
		"half a pin":  func(l *lab) { l.config.SHA256 = l.config.SHA256[:32] },
		"another pin": func(l *lab) { l.config.SHA256 = wrong },
		"absent":      func(l *lab) { l.config.Bin += "-absent" },
		"a folder":    func(l *lab) { l.config.Bin = l.dir },
		"one byte more": func(l *lab) {
			b, _ := os.ReadFile(l.config.Bin)
			os.WriteFile(l.config.Bin, append(b, 0), 0o755)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			change(l)
			role, err := New(l.config)
			if err == nil {
				err = role.Run(t.Context())
			}
			if !errors.Is(err, ErrPin) {
				t.Errorf("got %v, want %v", err, ErrPin)
			}
			if pids := l.children(); len(pids) != 0 {
				t.Errorf("running: %v", pids)
			}
		})
	}
	t.Run("upper case is the same pin", func(t *testing.T) {
		l := newLab(t)
		l.config.SHA256 = strings.ToUpper(l.config.SHA256)
		l.start()
		l.mustGet(l.client(false, l.role.Dial), allowed)
	})
}

// A program exchanged while the role runs is never run, and ends it.
func TestExchangedProgram(t *testing.T) {
	l := newLab(t)
	ended := l.start()
	l.mustGet(l.client(false, l.role.Dial), allowed)
	trace := filepath.Join(l.dir, "trace")
	script := filepath.Join(l.dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ntouch "+trace+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(script, l.standIn.Path); err != nil {
		t.Fatal(err)
	}
	l.role.Replace()
	if err := <-ended; !errors.Is(err, ErrPin) {
		t.Errorf("got %v, want %v", err, ErrPin)
	}
	if _, err := os.Stat(trace); err == nil {
		t.Error("the exchanged program was run")
	}
	if pids := l.children(); len(pids) != 0 {
		t.Errorf("still running: %v", pids)
	}
}

// What runs is a copy that nobody can write to, whatever happens to the file
// between hashing and starting.
func TestProgramIsSealed(t *testing.T) {
	l := newLab(t)
	program, err := pinned(l.config.Bin, l.config.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if _, err := program.WriteAt([]byte("x"), 0); err == nil {
		t.Error("the copy can be written to")
	}
	if err := program.Truncate(1); err == nil {
		t.Error("the copy can be cut")
	}
	if err := os.Truncate(l.config.Bin, 0); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", program.Fd()))
	if err != nil || digest(b) != l.config.SHA256 {
		t.Errorf("the copy is %d bytes of another program (%v)", len(b), err)
	}
}
