//go:build linux

package namespace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// makeDev makes /dev with the few devices that every program may expect. The
// device files themselves are the host's; nothing else can be made or opened,
// because every other mount forbids devices.
func makeDev(size string) error {
	if err := os.Mkdir(inside("/dev"), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		path := "/dev/" + name
		if err := os.WriteFile(inside(path), nil, 0o666); err != nil {
			return err
		}
		file, err := openTree(path, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
		if err != nil {
			return err
		}
		if err := (tree{path, file}).mountOn(inside(path)); err != nil {
			return err
		}
		file.Close()
	}
	for _, dir := range []string{"/dev/pts", "/dev/shm"} {
		if err := os.Mkdir(inside(dir), 0o755); err != nil {
			return err
		}
	}
	err := unix.Mount("devpts", inside("/dev/pts"), "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
	if err != nil {
		return fmt.Errorf("mount /dev/pts: %w", err)
	}
	if err := mountTmpfs(inside("/dev/shm"), "mode=1777"+size); err != nil {
		return err
	}
	for name, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd",
		"stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, inside("/dev/"+name)); err != nil {
			return err
		}
	}
	return nil
}

// What of /proc is the host's rather than the bottle's: read-only, or gone.
var (
	readOnlyProc = []string{"sys", "sysrq-trigger", "irq", "bus", "fs", "pressure"}
	maskedProc   = []string{
		"acpi", "asound", "cmdline", "config.gz", "driver", "dynamic_debug", "kallsyms", "kcore", "key-users", "keys", "kmsg", "kpagecgroup", "kpagecount",
		"kpageflags", "latency_stats", "modules", "sched_debug", "scsi", "sysvipc", "timer_list", "timer_stats", "vmallocinfo",
	}
)

// makeProc mounts a /proc of the bottle's own processes. hidepid hides the
// init, the only one whose memory the agent may not read.
func makeProc() error {
	if err := os.Mkdir(inside("/proc"), 0o555); err != nil {
		return err
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("proc", inside("/proc"), "proc", flags, "hidepid=2"); err != nil {
		return fmt.Errorf("mount /proc; inside a container this needs an unmasked /proc, see `docker run --security-opt systempaths=unconfined`: %w", err)
	}
	for _, name := range readOnlyProc {
		path := inside(filepath.Join("/proc", name))
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := remount(path, procAttributes|unix.MOUNT_ATTR_RDONLY); err != nil {
			return err
		}
	}
	for _, name := range maskedProc {
		if err := maskProc(inside(filepath.Join("/proc", name))); err != nil {
			return err
		}
	}
	return nil
}

const procAttributes = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC

// maskProc covers a file with the null device, a folder with an empty one.
func maskProc(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0555"); err != nil {
			return fmt.Errorf("mask %s: %w", path, err)
		}
		return nil
	}
	file, err := openTree("/dev/null", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return err
	}
	defer file.Close()
	return tree{path, file}.mountOn(path)
}
