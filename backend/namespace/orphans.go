//go:build linux

package namespace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/state"
)

// The kinds of orphan, in the order in which they can be removed.
const (
	orphanProcess = "process"
	orphanCgroup  = "cgroup"
	orphanState   = "state"
)

// List implements backend.Backend.
func (b *Backend) List(context.Context) ([]backend.Status, error) {
	records, err := b.records()
	if err != nil {
		return nil, err
	}
	var list []backend.Status
	for _, r := range records {
		list = append(list, r.status())
	}
	return list, nil
}

// records reads those of all bottles, living and dead. Bottles that ended in
// order have none.
func (b *Backend) records() ([]record, error) {
	slugs, err := b.options.Home.Slugs()
	if err != nil {
		return nil, err
	}
	var all []record
	for _, slug := range slugs {
		r, err := readRecord(b.options.Home.Dir(slug))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			r = record{Slug: slug} // damaged: nothing of it is alive, and cleanup removes it
		}
		all = append(all, r)
	}
	return all, nil
}

// Orphans implements backend.Backend.
func (b *Backend) Orphans(context.Context) ([]backend.Orphan, error) {
	records, err := b.records()
	if err != nil {
		return nil, err
	}
	var found []backend.Orphan
	owned := make(map[string]bool)
	for _, r := range records {
		if r.alive() {
			for _, group := range r.Cgroups {
				owned[group] = true
			}
			continue
		}
		for name, p := range r.processes() {
			found = append(found, backend.Orphan{Slug: r.Slug, Kind: orphanProcess, Name: fmt.Sprintf("%s %d", name, p.PID)})
		}
	}
	groups, err := b.groups()
	if err != nil {
		return nil, err
	}
	for _, o := range groups {
		if !owned[o.Name] {
			found = append(found, o)
		}
	}
	for _, r := range records {
		if !r.alive() {
			found = append(found, backend.Orphan{Slug: r.Slug, Kind: orphanState, Name: b.options.Home.Dir(r.Slug).Run()})
		}
	}
	return found, nil
}

// groups are the control groups of this home's bottles.
func (b *Backend) groups() ([]backend.Orphan, error) {
	slugs, err := b.options.Home.Slugs()
	if err != nil {
		return nil, err
	}
	v1, v2 := cgroupBases()
	var found []backend.Orphan
	for _, base := range append(v1, v2...) {
		for _, slug := range slugs {
			group := filepath.Join(base, groupName(b.options.Home.Dir(slug)))
			if _, err := os.Stat(group); err == nil {
				found = append(found, backend.Orphan{Slug: slug, Kind: orphanCgroup, Name: group})
			}
		}
	}
	return found, nil
}

// Remove implements backend.Backend. It refuses what a live bottle owns.
func (b *Backend) Remove(_ context.Context, o backend.Orphan) error {
	if err := state.CheckSlug(o.Slug); err != nil {
		return err
	}
	dir := b.options.Home.Dir(o.Slug)
	r, err := readRecord(dir)
	if err == nil && r.alive() {
		return fmt.Errorf("bottle %s is running; `bottle down %s` ends it", o.Slug, o.Slug)
	}
	switch o.Kind {
	case orphanProcess:
		return killProcesses(r)
	case orphanCgroup:
		return removeGroup(o, dir)
	case orphanState:
		return removeRecord(dir)
	}
	return fmt.Errorf("%q is not something that this backend makes", o.Kind)
}

// removeLeftovers removes all that a bottle left whose process is dead.
func removeLeftovers(dir state.Dir) error {
	r, err := readRecord(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(killProcesses(r), r.Cgroups.remove(), removeRecord(dir))
}

func killProcesses(r record) error {
	for _, p := range r.processes() {
		if err := unix.Kill(p.PID, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	for try := 0; len(r.processes()) > 0; try++ {
		if try == 100 {
			return fmt.Errorf("processes of bottle %s do not end", r.Slug)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil
}

// removeGroup kills what is left in a control group and removes it.
func removeGroup(o backend.Orphan, dir state.Dir) error {
	if filepath.Base(o.Name) != groupName(dir) || filepath.Base(filepath.Dir(o.Name)) != cgroupName || !strings.HasPrefix(o.Name, cgroupRoot+"/") {
		return fmt.Errorf("%s is not a bottle's control group", o.Name)
	}
	content, err := os.ReadFile(filepath.Join(o.Name, "cgroup.procs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for field := range strings.FieldsSeq(string(content)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	return cgroups{o.Name}.remove()
}
