//go:build linux

package namespace

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

// cgroupName is the folder below which all bottles' control groups are, in
// whichever group the operator may make one.
const cgroupName = "claude-bottle"

const cgroupRoot = "/sys/fs/cgroup"

// cgroups are the control groups of one bottle, as folders: one where the
// system has the unified hierarchy, else one per controller.
type cgroups []string

// cgroupBases are the folders in which bottles' groups could be made: for
// version 1 both controllers', for version 2 the groups above this process,
// the nearest first.
func cgroupBases() (v1, v2 []string) {
	for _, controller := range []string{"pids", "memory"} {
		if isCgroup(filepath.Join(cgroupRoot, controller), unix.CGROUP_SUPER_MAGIC) {
			v1 = append(v1, filepath.Join(cgroupRoot, controller, cgroupName))
		}
	}
	if len(v1) == 2 || !isCgroup(cgroupRoot, unix.CGROUP2_SUPER_MAGIC) {
		return v1, nil
	}
	content, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, nil
	}
	for line := range strings.Lines(string(content)) {
		own, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		for dir := own; ; dir = filepath.Dir(dir) {
			v2 = append(v2, filepath.Join(cgroupRoot, dir, cgroupName))
			if dir == "/" || dir == "." {
				break
			}
		}
	}
	return nil, v2
}

func isCgroup(path string, magic int64) bool {
	var stat unix.Statfs_t
	return unix.Statfs(path, &stat) == nil && int64(stat.Type) == magic
}

// groupName is a bottle's name among those of all homes.
func groupName(dir state.Dir) string {
	sum := sha256.Sum256([]byte(dir))
	return dir.Slug() + "-" + hex.EncodeToString(sum[:4])
}

// newCgroups makes the bottle's groups with its limits. An error tells why the
// limits cannot be had this way; then nothing was made.
func newCgroups(dir state.Dir, limits plan.Limits) (cgroups, error) {
	name := groupName(dir)
	v1, v2 := cgroupBases()
	var made cgroups
	var failed []error
	if len(v1) == 2 {
		for i, base := range v1 {
			made = append(made, filepath.Join(base, name))
			if err := makeGroup(made[i]); err != nil {
				_ = made.remove()
				return nil, err
			}
		}
		err := errors.Join(
			writeLimit(made[0], "pids.max", limits.Pids),
			writeLimit(made[1], "memory.limit_in_bytes", limits.MemoryBytes))
		if err != nil {
			_ = made.remove()
			return nil, err
		}
		return made, nil
	}
	for _, base := range v2 {
		if err := makeUnified(base, name, limits); err != nil {
			failed = append(failed, err)
			continue
		}
		return cgroups{filepath.Join(base, name)}, nil
	}
	return nil, errors.Join(append(failed, errors.New("no control group with the pids and memory controllers can be made"))...)
}

// makeGroup makes a group and the one around it, which whoever removes its last
// group may be removing.
func makeGroup(group string) error {
	err := os.MkdirAll(group, 0o755)
	for try := 0; errors.Is(err, fs.ErrNotExist) && try < 10; try++ {
		err = os.MkdirAll(group, 0o755)
	}
	return err
}

// makeUnified makes base and base/name, with both controllers.
func makeUnified(base, name string, limits plan.Limits) (err error) {
	available, err := os.ReadFile(filepath.Join(filepath.Dir(base), "cgroup.subtree_control"))
	if err != nil {
		return err
	}
	for _, controller := range []string{"pids", "memory"} {
		if !slices.Contains(strings.Fields(string(available)), controller) {
			return fmt.Errorf("%s does not hand down the %s controller", filepath.Dir(base), controller)
		}
	}
	group := filepath.Join(base, name)
	if err := makeGroup(group); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = cgroups{group}.remove()
		}
	}()
	// Whoever may not write here may not move a process into the group either.
	if err := unix.Access(filepath.Join(filepath.Dir(base), "cgroup.procs"), unix.W_OK); err != nil {
		return fmt.Errorf("%s: %w", filepath.Dir(base), err)
	}
	if err := writeControl(base, "cgroup.subtree_control", "+pids +memory"); err != nil {
		return err
	}
	if err := errors.Join(writeLimit(group, "pids.max", limits.Pids), writeLimit(group, "memory.max", limits.MemoryBytes)); err != nil {
		return err
	}
	if err := writeLimit(group, "memory.swap.max", 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeLimit sets a limit; 0 or less is none for those of a plan.
func writeLimit(group, file string, limit int64) error {
	if limit <= 0 && file != "memory.swap.max" {
		return nil
	}
	return writeControl(group, file, strconv.FormatInt(limit, 10))
}

// writeControl writes a group's control file, which exists or cannot be made.
func writeControl(group, file, content string) error {
	control, err := os.OpenFile(filepath.Join(group, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = control.WriteString(content)
	return errors.Join(err, control.Close())
}

// add moves a process into the groups.
func (c cgroups) add(pid int) error {
	for _, group := range c {
		if err := writeControl(group, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return fmt.Errorf("put the bottle into its control group: %w", err)
		}
	}
	return nil
}

// remove removes the groups. Their processes may take a moment to leave.
func (c cgroups) remove() error {
	var failed []error
	for _, group := range c {
		err := os.Remove(group)
		for try := 0; errors.Is(err, unix.EBUSY) && try < 100; try++ {
			time.Sleep(5 * time.Millisecond)
			err = os.Remove(group)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
		_ = os.Remove(filepath.Dir(group)) // when it was the last
	}
	return errors.Join(failed...)
}
