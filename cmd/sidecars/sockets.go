package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstInherited is SD_LISTEN_FDS_START of sd_listen_fds(3).
const firstInherited = 3

// sockets opens the bundle's listeners. Those that the parent handed over win
// over an address.
type sockets struct{ inherited map[string][]net.Listener }

// inherit takes over the listeners of systemd's socket activation. Unlike
// sd_listen_fds, an absent LISTEN_PID is fine, because a parent that execs
// through a helper cannot know it; another process's is not.
func inherit(v variables) (*sockets, error) {
	s := &sockets{inherited: make(map[string][]net.Listener)}
	count := v["LISTEN_FDS"]
	if pid := v["LISTEN_PID"]; count == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return s, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("LISTEN_FDS is %q; it must be a number", count)
	}
	names := strings.Split(v["LISTEN_FDNAMES"], ":")
	if n > 0 && len(names) != n {
		return nil, fmt.Errorf("LISTEN_FDNAMES has %d names for %d listeners; it must name each", len(names), n)
	}
	for i := range n {
		fd := firstInherited + i
		unix.CloseOnExec(fd)
		file := os.NewFile(uintptr(fd), names[i])
		listener, err := net.FileListener(file) // a copy, close-on-exec
		file.Close()
		if err != nil {
			return nil, fmt.Errorf("descriptor %d (%s) of LISTEN_FDS is not a listener: %w", fd, names[i], err)
		}
		s.inherited[names[i]] = append(s.inherited[names[i]], listener)
	}
	return s, nil
}

// listen gives the listeners for a name: the inherited ones, else one on
// address, which variable names.
func (s *sockets) listen(name, address, variable string) ([]net.Listener, error) {
	if handed := s.inherited[name]; handed != nil {
		delete(s.inherited, name)
		return handed, nil
	}
	network := "tcp"
	path, isUnix := strings.CutPrefix(address, "unix:")
	if isUnix {
		network, address = "unix", path
		if err := removeStale(path); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	listener, err := net.Listen(network, address)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("%s: another process listens on %s; stop it or set %s: %w", name, address, variable, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: cannot listen, see %s: %w", name, variable, err)
	}
	return []net.Listener{listener}, nil
}

// has tells whether listeners were handed over for a name.
func (s *sockets) has(name string) bool { return s.inherited[name] != nil }

// removeStale removes a socket that a killed bundle left behind. One that
// answers, and anything that is no socket, stays.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%s is in the way: it is not a socket", path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
		return nil
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// closeRest closes what was handed over for roles that do not run, and tells
// their names: a connection to them must fail, not wait in a queue.
func (s *sockets) closeRest() (names []string) {
	for name, listeners := range s.inherited {
		names = append(names, name)
		for _, l := range listeners {
			l.Close()
		}
	}
	clear(s.inherited)
	return names
}
