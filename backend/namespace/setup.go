//go:build linux

package namespace

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"net"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// agentID is the agent's user and group inside every bottle.
const agentID = 1000

// setup is the init's first life: it runs in the new namespaces with
// capabilities, builds the world and ends in the execve of the second. On an
// error it tells `bottle up` and returns.
func setup() error {
	// What this process inherited must not reach the next.
	if err := unix.CloseRange(controlFD+1, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close inherited descriptors: %w", err)
	}
	dup, err := unix.FcntlInt(controlFD, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("the control socket is missing: %w", err)
	}
	w, err := newWire(os.NewFile(uintptr(dup), "control"), maxRequest)
	if err != nil {
		return err
	}
	err = build(w)
	if err == nil {
		err = becomeResident()
	}
	_ = w.send(event{Failed: err.Error()})
	return err
}

func build(w *wire) error {
	var to world
	files, err := w.receive(&to)
	if err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	defer closeAll(files)
	if err := becomeAgent(to.DropGroups); err != nil {
		return err
	}
	if err := listen(w, to.Listeners); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(to.Slug)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	limits, err := namespaceLimits()
	if err != nil {
		return err
	}
	defer closeAll(limits)
	if err := buildRoot(to, files); err != nil {
		return err
	}
	return forbidNamespaces(limits)
}

// becomeAgent takes the one user that is mapped. Capabilities survive it,
// because no user 0 is left behind.
func becomeAgent(dropGroups bool) error {
	unix.Umask(0o022)
	if dropGroups {
		if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
			return fmt.Errorf("drop supplementary groups: %w", errno)
		}
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, agentID, agentID, agentID); errno != 0 {
		return fmt.Errorf("become the agent's group: %w", errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, agentID, agentID, agentID); errno != 0 {
		return fmt.Errorf("become the agent's user: %w", errno)
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

// namespaceLimits opens this user namespace's own limits of further ones, see
// namespaces(7), while they can be opened.
func namespaceLimits() (limits []*os.File, err error) {
	for _, kind := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"} {
		limit, err := os.OpenFile("/proc/sys/user/max_"+kind+"_namespaces", os.O_WRONLY, 0)
		if errors.Is(err, fs.ErrNotExist) { // older kernels have fewer kinds
			continue
		}
		if err != nil {
			closeAll(limits)
			return nil, fmt.Errorf("forbid further namespaces: %w", err)
		}
		limits = append(limits, limit)
	}
	return limits, nil
}

// forbidNamespaces makes them impossible, whatever the system call filter lets
// through. Building the world needs some that the kernel makes for itself.
func forbidNamespaces(limits []*os.File) error {
	for _, limit := range limits {
		if _, err := limit.WriteString("0"); err != nil {
			return fmt.Errorf("forbid further namespaces: %w", err)
		}
	}
	return nil
}

// listen brings up the loopback interface and opens the roles' listeners on
// it. They stay in this network wherever their descriptors go.
func listen(w *wire, ports map[string]int) error {
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("bring up the loopback interface: %w", err)
	}
	names := slices.Sorted(maps.Keys(ports))
	var files []*os.File
	defer func() { closeAll(files) }()
	for _, name := range names {
		listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: ports[name]})
		if err != nil {
			return fmt.Errorf("the listener of %s: %w", name, err)
		}
		file, err := listener.File()
		listener.Close()
		if err != nil {
			return fmt.Errorf("the listener of %s: %w", name, err)
		}
		files = append(files, file)
	}
	return w.send(event{Listening: names}, files...)
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
