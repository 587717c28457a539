//go:build linux

package namespace

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxComplaint bounds what a failing process is quoted with.
const maxComplaint = 4 << 10

// launch starts this program as the init of new namespaces; argument says
// which life. It dies with the thread.
func launch(t *thread, self, argument string, id identity, control *os.File) (*exec.Cmd, *complaint, error) {
	said := &complaint{}
	cmd := &exec.Cmd{
		Path:   self,
		Args:   []string{argument},
		Env:    []string{}, // nothing of the operator's
		Dir:    "/",
		Stderr: said,
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
				unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP,
			UidMappings:                []syscall.SysProcIDMap{{ContainerID: agentID, HostID: id.uid, Size: 1}},
			GidMappings:                []syscall.SysProcIDMap{{ContainerID: agentID, HostID: id.gid, Size: 1}},
			GidMappingsEnableSetgroups: id.foreign,
			AmbientCaps:                []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETPCAP, unix.CAP_SYS_RESOURCE},
			Pdeathsig:                  syscall.SIGKILL,
		},
	}
	if control != nil {
		cmd.ExtraFiles = []*os.File{control}
	}
	var err error
	t.do(func() { err = cmd.Start() })
	return cmd, said, err
}

// complaint keeps the end of what a process said on stderr. It may be read
// when the process has ended.
type complaint struct{ text []byte }

func (c *complaint) Write(p []byte) (int, error) {
	c.text = append(c.text, p...)
	if extra := len(c.text) - maxComplaint; extra > 0 {
		c.text = append([]byte(nil), c.text[extra:]...)
	}
	return len(p), nil
}

func (c *complaint) String() string { return string(bytes.TrimSpace(c.text)) }
