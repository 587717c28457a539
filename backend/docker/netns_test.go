//go:build linux

package docker

import (
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// inNetwork runs a program of this machine in a process's network.
func inNetwork(pid string, argv ...string) (string, error) {
	type result struct {
		out string
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		namespace, err := os.Open("/proc/" + pid + "/ns/net")
		if err == nil {
			defer namespace.Close()
			err = unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
		}
		if err != nil {
			done <- result{"", err}
			return
		}
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		done <- result{string(out), err}
	}()
	r := <-done
	return r.out, r.err
}
