//go:build linux

package namespace

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// isOperator tells whether the other end is root or this user, and not an agent
// of a bottle: of an ordinary operator's bottles, agents are the same user, but
// live in other user namespaces. The folder's mode says so already.
func isOperator(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	ok := false
	if raw.Control(func(fd uintptr) {
		var peer *unix.Ucred
		if peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err != nil {
			return
		}
		switch own := os.Geteuid(); {
		case peer.Uid == 0 && own != 0: // whom this user may not ask about
			ok = true
		case int(peer.Uid) == own:
			ok, err = isNeighbour(int(fd), int(peer.Pid))
		}
	}) != nil || err != nil {
		return false
	}
	return ok
}

// isNeighbour tells whether the process at the other end of a socket lives in
// this process's user namespace. One that ended is not.
func isNeighbour(socket, pid int) (bool, error) {
	peer, err := peerHandle(socket, pid)
	if err != nil {
		return false, err
	}
	defer unix.Close(peer)
	var own, other unix.Stat_t
	if err := errors.Join(
		unix.Stat("/proc/self/ns/user", &own),
		unix.Stat("/proc/"+strconv.Itoa(pid)+"/ns/user", &other),
	); err != nil {
		return false, err
	}
	// A process that is alive had its number all the time.
	if err := unix.PidfdSendSignal(peer, 0, nil, 0); err != nil {
		return false, fmt.Errorf("process %d ended: %w", pid, err)
	}
	return own.Dev == other.Dev && own.Ino == other.Ino, nil
}

// peerHandle returns a file of the process at the other end of a socket.
func peerHandle(socket, pid int) (int, error) {
	peer, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if errors.Is(err, unix.ENOPROTOOPT) { // before Linux 6.5
		peer, err = unix.PidfdOpen(pid, 0)
	}
	return peer, err
}
