//go:build linux

package namespace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/health"
)

// How a dead bundle is replaced. The listeners stay open, so that the agent's
// connections wait; when the bundle dies too often the bottle ends.
const (
	bundleReady    = 15 * time.Second
	bundleGrace    = 10 * time.Second // its own is 8
	bundleRestarts = 5
	bundleWindow   = time.Minute
	bundlePause    = 100 * time.Millisecond
	logPatience    = time.Second // for what the dead one's children still say
)

// bundle is the sidecar process, outside, and its successors.
type bundle struct {
	thread *thread
	path   string
	env    []string
	files  []*os.File // from descriptor 3 on, the same for each process
	log    *bundleLog
	health string // the socket's path

	mu      sync.Mutex
	process *os.Process
	stopped bool

	gone chan struct{} // closed when there will be no further process
	err  error         // why; set before gone is closed
}

// start starts the first process and watches it from then on. begun is called
// with each process's id.
func (b *bundle) start(begun func(pid int)) error {
	b.gone = make(chan struct{})
	cmd, err := b.spawn(begun)
	if err != nil {
		close(b.gone)
		return err
	}
	go b.watch(cmd, begun)
	return nil
}

func (b *bundle) spawn(begun func(pid int)) (*exec.Cmd, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return nil, errors.New("the bundle is stopped")
	}
	cmd := &exec.Cmd{
		Path: b.path, Args: []string{"sidecars"}, Env: b.env, Dir: "/",
		Stdout: b.log, Stderr: b.log, ExtraFiles: b.files,
		WaitDelay: logPatience,
		// A process group of its own: the terminal's Ctrl-C is for the agent.
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true},
	}
	var err error
	b.thread.do(func() { err = cmd.Start() })
	if err != nil {
		return nil, fmt.Errorf("start the bundle %s: %w", b.path, err)
	}
	b.process = cmd.Process
	begun(cmd.Process.Pid)
	return cmd, nil
}

// watch replaces the process when it dies.
func (b *bundle) watch(cmd *exec.Cmd, begun func(pid int)) {
	defer close(b.gone)
	var deaths []time.Time
	for {
		err := cmd.Wait()
		b.mu.Lock()
		stopped := b.stopped
		b.mu.Unlock()
		if stopped {
			return
		}
		deaths = append(deaths, time.Now())
		if len(deaths) > bundleRestarts && time.Since(deaths[len(deaths)-1-bundleRestarts]) < bundleWindow {
			b.err = fmt.Errorf("the bundle died %d times within %s, the last time with: %v; its log is %s",
				bundleRestarts+1, bundleWindow, describe(err), b.log.file.Name())
			return
		}
		time.Sleep(bundlePause * time.Duration(min(len(deaths), 10)))
		if cmd, err = b.spawn(begun); err != nil {
			b.err = err
			return
		}
	}
}

func describe(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// waitReady returns when every role is ready. A bundle that dies before that
// has no successor worth waiting for.
func (b *bundle) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, bundleReady, errors.New("it took too long"))
	defer cancel()
	first := b.pid()
	var last error
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		// The socket is open before the bundle is, so that asking waits for it.
		asking, done := context.WithTimeout(ctx, 250*time.Millisecond)
		report, _, err := health.Probe(asking, "unix:"+b.health)
		done()
		if err == nil && report.Ready {
			return nil
		}
		if err == nil {
			err = errors.New("not every role is ready")
		}
		last = err
		select {
		case <-b.gone:
			return errors.Join(fmt.Errorf("the bundle ended: %w", b.err), b.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("the bundle is not ready: %w: %w", context.Cause(ctx), errors.Join(last, b.lastWords()))
		case <-time.After(pause):
		}
		if b.pid() != first {
			return errors.Join(errors.New("the bundle died while it started"), b.lastWords())
		}
	}
}

// lastWords quotes the end of the bundle's log, which holds no secrets.
func (b *bundle) lastWords() error {
	content, err := os.ReadFile(b.log.file.Name())
	if err != nil || len(content) == 0 {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return errors.New(clean(lines[len(lines)-1]))
}

func (b *bundle) pid() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.process.Pid
}

func (b *bundle) signal(sig os.Signal) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.process.Signal(sig)
}

// stop ends the process in order, or by force after the grace, and returns
// when it is gone.
func (b *bundle) stop() {
	b.mu.Lock()
	b.stopped = true
	process := b.process
	b.mu.Unlock()
	if process == nil {
		return
	}
	_ = process.Signal(unix.SIGTERM)
	select {
	case <-b.gone:
		return
	case <-time.After(bundleGrace):
	}
	_ = process.Kill()
	<-b.gone
}

// secretsFile puts secrets where only the bundle can read them: in memory,
// never on a disk, gone with the last process that holds it.
func secretsFile(secrets []string) (*os.File, error) {
	fd, err := unix.MemfdCreate("secrets", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("a memory file for secrets: %w", err)
	}
	file := os.NewFile(uintptr(fd), "secrets")
	if err = file.Chmod(0o600); err == nil {
		_, err = file.WriteString(strings.Join(secrets, "\n"))
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("a memory file for secrets: %w", err)
	}
	return file, nil
}

// healthListener is the socket on which the bundle answers for its health. The
// file stays when a process of the bundle ends.
func healthListener(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("the bundle's health socket: %w", err)
	}
	listener.SetUnlinkOnClose(false)
	defer listener.Close()
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, err
	}
	return listener.File()
}

func fdPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
