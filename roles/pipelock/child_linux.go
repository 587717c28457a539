package pipelock

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is one pipelock process.
type child struct {
	pid     int
	process *os.Process
	address string
	sha256  string // of the configuration file it runs on
	tail    tail

	done chan struct{} // closed after its death
	err  error         // why it died; read after done

	mu          sync.Mutex
	connections int
	retired     bool
	idle        chan struct{} // closed when it is retired and unused
}

// death is a child's end. It has the exit code that the bundle should end with.
type death struct {
	code int
	text string
}

func (d *death) Error() string { return d.text }

// ExitCode is the child's own code, or 128 and the signal that killed it.
func (d *death) ExitCode() int { return d.code }

// startChild starts the pinned program on a configuration file, with the
// secrets at secretsFD. The file's folder is removed once the child is dead.
func (r *Role) startChild(file, address, sha256 string, secrets []string) (*child, error) {
	program, err := pinned(r.c.Bin, r.c.SHA256)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	known, err := secretsInMemory(secrets)
	if err != nil {
		return nil, err
	}
	defer known.Close()
	c := &child{address: address, sha256: sha256, done: make(chan struct{}), idle: make(chan struct{})}
	cmd := &exec.Cmd{
		Path:       programFD,
		Args:       []string{r.c.Bin, "run", "--config", file, "--listen", address},
		Env:        []string{}, // nil would be ours
		Dir:        "/",
		ExtraFiles: []*os.File{program, known},
		WaitDelay:  time.Second,
		SysProcAttr: &syscall.SysProcAttr{
			Pdeathsig: syscall.SIGKILL,
			Setpgid:   true, // the terminal's signals are not for it
		},
	}
	if r.c.TrustedCAs != "" {
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+r.c.TrustedCAs)
	}
	stdout := &lines{emit: func(line string) { r.emitEvent(cmd.Process.Pid, line) }}
	stderr := &lines{emit: func(line string) { r.emitText(cmd.Process.Pid, &c.tail, line) }}
	cmd.Stdout, cmd.Stderr = stdout, stderr

	started := make(chan error)
	go func() {
		// Pdeathsig is sent when the thread that forked ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := r.c.Start(cmd)
		if err == nil {
			c.process, c.pid = cmd.Process, cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		err = cmd.Wait()
		stdout.flush()
		stderr.flush()
		c.err = newDeath(cmd.ProcessState, err, c.tail.String())
		os.RemoveAll(filepath.Dir(file))
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", r.c.Bin, err)
	}
	return c, nil
}

// newDeath says how the process ended, with the last words it wrote.
func newDeath(state *os.ProcessState, err error, last string) error {
	d := &death{code: 1, text: "the child ended"}
	switch status, ok := state.Sys().(syscall.WaitStatus); {
	case ok && status.Signaled():
		d.code, d.text = 128+int(status.Signal()), "the child was killed by "+status.Signal().String()
	case ok && status.Exited():
		d.code, d.text = status.ExitStatus(), fmt.Sprintf("the child exited with code %d", status.ExitStatus())
	case err != nil:
		d.text += ": " + err.Error()
	}
	if last != "" {
		d.text += ": " + last
	}
	return d
}

func (c *child) dead() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// stop ends the child, by force after the grace, and waits for its death.
func (c *child) stop(grace time.Duration) {
	_ = c.process.Signal(syscall.SIGTERM) // its death is seen by done
	force := time.NewTimer(grace)
	defer force.Stop()
	select {
	case <-c.done:
	case <-force.C:
		_ = c.process.Kill()
		<-c.done
	}
}

// addressTaken reports whether a child died because its address was not free.
func addressTaken(err error) bool {
	var d *death
	return errors.As(err, &d) && strings.Contains(d.text, "address already in use")
}
