//go:build linux

package idmap

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary also plays a program that maps without end, and one that
// must never get as far as its first instruction.
func TestMain(m *testing.M) {
	switch {
	case os.Args[0] == helperName:
		os.Exit(1)
	case os.Getenv("TEST_MAP") != "":
		mapForever()
	}
	os.Exit(m.Run())
}

func mapForever() {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	own := Owner{os.Geteuid(), os.Getegid()}
	for {
		users, err := userNamespace(self, []pair{{Owner{1000, 1000}, own}})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		users.Close()
		os.Stdout.WriteString(".")
	}
}

// A process that is killed while its helper starts left the helper behind,
// stopped for good.
func TestKilledWhileTheHelperStarts(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// What loses its parent becomes this process's child.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	for range 120 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "TEST_MAP=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatalf("control: it maps nothing: %v", err)
		}
		time.Sleep(rand.N(5 * time.Millisecond))
		cmd.Process.Kill()
		cmd.Wait()
		reapAll(t)
	}
}

// reapAll returns when this process has no child any more.
func reapAll(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err == unix.ECHILD {
			return
		}
		if pid <= 0 && time.Now().After(deadline) {
			content, _ := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
			for child := range strings.FieldsSeq(string(content)) {
				status, _ := os.ReadFile("/proc/" + child + "/status")
				t.Errorf("left: %s\n%s", child, status)
			}
			t.FailNow()
		}
	}
}
