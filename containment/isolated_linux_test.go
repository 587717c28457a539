package containment_test

import (
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"github.com/claude-bottle/claude-bottle/containment"
)

func isolate(cmd *exec.Cmd, namespaces uintptr) {
	if namespaces == 0 {
		return
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  namespaces,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getegid(), Size: 1}},
	}
}

// In a network of its own nothing is reached but what no network divides.
func TestFindsNothing(t *testing.T) {
	report := proveIn(t, syscall.CLONE_NEWUSER|syscall.CLONE_NEWNET, host(t))
	leaks := slices.DeleteFunc(report.Leaks, func(l containment.Leak) bool { return l.Kind == "raw" && l.Target == "vsock" })
	if len(leaks) != 0 || report.Probes < 10 {
		t.Errorf("%d probes found %v", report.Probes, leaks)
	}
	// The control is the same process in the host's network.
	if outside := proveIn(t, syscall.CLONE_NEWUSER, host(t)); len(outside.Leaks) <= len(report.Leaks) {
		t.Errorf("control: the host's network leaks only %v", outside.Leaks)
	}
}
