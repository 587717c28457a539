//go:build linux

package namespace_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// playAgent makes every attempt that is named, or does a task, and reports.
func playAgent(task string) {
	switch task {
	case "attempts":
		results := make(map[string]string)
		for name, attempt := range attempts() {
			results[name] = "succeeded"
			if err := attempt(); err != nil {
				results[name] = err.Error()
			}
		}
		json.NewEncoder(os.Stdout).Encode(results)
	case "x32":
		unix.RawSyscall(0x40000000|unix.SYS_GETPID, 0, 0, 0)
	case "i386":
		callI386()
	case "listen":
		var doors []net.Listener
		for network, address := range twoDoors {
			door, err := net.Listen(network, address)
			if err != nil {
				fatal(err)
			}
			doors = append(doors, door)
		}
		for {
			if _, err := doors[0].Accept(); err != nil {
				fatal(fmt.Errorf("%v: %w", doors, err))
			}
		}
	case "reach":
		for _, network := range []string{"tcp", "unix"} {
			if conn, err := net.Dial(network, twoDoors[network]); err == nil {
				fmt.Print(map[string]string{"tcp": "tcp ", "unix": "abstract "}[network])
				conn.Close()
			}
		}
	case "signal-init":
		for _, sig := range []unix.Signal{unix.SIGKILL, unix.SIGSTOP, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGUSR1, unix.SIGQUIT, unix.SIGPIPE} {
			unix.Kill(1, sig)
		}
	}
}

// twoDoors are what an agent listens on for another.
var twoDoors = map[string]string{"tcp": "127.0.0.1:7777", "unix": "@claude-bottle-two-doors"}

// attempts are what a hostile agent tries. Where things are on the host comes
// in the environment.
func attempts() map[string]func() error {
	var (
		scratch  = os.Getenv("SCRATCH")
		outside  = os.Getenv("OUTSIDE")
		hostPID  = number(os.Getenv("HOST_PID"))
		hostPort = os.Getenv("HOST_PORT")
	)
	open := func(path string, flags int) func() error {
		return func() error {
			fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
			if err == nil {
				unix.Close(fd)
			}
			return err
		}
	}
	socket := func(family, kind, protocol int) func() error {
		return func() error {
			fd, err := unix.Socket(family, kind, protocol)
			if err == nil {
				unix.Close(fd)
			}
			return err
		}
	}
	dial := func(network, address string) func() error {
		return func() error {
			conn, err := net.Dial(network, address)
			if err == nil {
				conn.Close()
			}
			return err
		}
	}
	mode := func(name string, do func(path string) error) func() error {
		return func() error {
			path := filepath.Join(scratch, name)
			if err := os.WriteFile(path, nil, 0o755); err != nil {
				return nil
			}
			if err := do(path); err != nil {
				return err
			}
			var stat unix.Stat_t
			if err := unix.Stat(path, &stat); err != nil {
				return err
			}
			if stat.Mode&(unix.S_ISUID|unix.S_ISGID) == 0 {
				return errors.New("the bits were dropped")
			}
			return nil
		}
	}
	raw := func(call uintptr, arguments ...uintptr) func() error {
		return func() error {
			var a [4]uintptr
			copy(a[:], arguments)
			_, _, errno := unix.Syscall6(call, a[0], a[1], a[2], a[3], 0, 0)
			if errno != 0 {
				return errno
			}
			return nil
		}
	}
	return map[string]func() error{
		// The host's files.
		"read /etc/shadow":       open("/etc/shadow", unix.O_RDONLY),
		"list /root":             open("/root", unix.O_RDONLY|unix.O_DIRECTORY),
		"list /var/lib/dpkg":     open("/var/lib/dpkg", unix.O_RDONLY|unix.O_DIRECTORY),
		"read a file outside":    open(filepath.Join(outside, "file"), unix.O_RDONLY),
		"connect socket outside": dial("unix", filepath.Join(outside, "docker.sock")),
		"write /usr":             open("/usr", unix.O_TMPFILE|unix.O_RDWR),
		"write /etc":             open("/etc", unix.O_TMPFILE|unix.O_RDWR),
		"open /dev/kmsg":         open("/dev/kmsg", unix.O_RDONLY),
		"open /dev/vsock":        open("/dev/vsock", unix.O_RDONLY),
		"list /sys":              open("/sys/kernel", unix.O_RDONLY|unix.O_DIRECTORY),
		"write /proc/sys":        open("/proc/sys/kernel/hostname", unix.O_WRONLY),
		"write /proc/sys/user":   open("/proc/sys/user/max_user_namespaces", unix.O_WRONLY),
		"write /proc/pressure":   open("/proc/pressure/memory", unix.O_WRONLY),
		"open sysrq":             open("/proc/sysrq-trigger", unix.O_WRONLY),
		"make a device": func() error {
			path := filepath.Join(scratch, "null")
			if err := unix.Mknod(path, unix.S_IFCHR|0o666, 1<<8|3); err != nil {
				return err
			}
			return open(path, unix.O_RDONLY)()
		},
		// The first process.
		"read root of 1":    open("/proc/1/root/etc/passwd", unix.O_RDONLY),
		"read environ of 1": func() error { _, err := os.ReadFile("/proc/1/environ"); return err },
		"open exe of 1":     open("/proc/1/exe", unix.O_RDONLY),
		"open fds of 1":     open("/proc/1/fd/1", unix.O_RDONLY),
		"open memory of 1":  open("/proc/1/mem", unix.O_RDONLY),
		"take a descriptor of 1": func() error {
			init, err := unix.PidfdOpen(1, 0)
			if err != nil {
				return err
			}
			_, err = unix.PidfdGetfd(init, 3, 0)
			return err
		},
		"read memory of 1": func() error {
			word := make([]byte, 8)
			_, err := unix.ProcessVMReadv(1, []unix.Iovec{{Base: &word[0], Len: 8}}, []unix.RemoteIovec{{Base: 0x400000, Len: 8}}, 0)
			return err
		},
		"signal a process outside": func() error {
			return unix.Kill(hostPID, 0)
		},
		// Networks.
		"TCP to the host":           dial("tcp", net.JoinHostPort("127.0.0.1", hostPort)),
		"abstract socket":           dial("unix", "@"+os.Getenv("HOST_ABSTRACT")),
		"packet socket":             socket(unix.AF_PACKET, unix.SOCK_RAW, 0),
		"raw socket":                socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP),
		"vsock":                     socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0),
		"crypto socket":             socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0),
		"netfilter socket":          socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER),
		"a second loopback address": func() error { return setAddress("lo:1") },
		// System calls.
		"keyctl":          raw(unix.SYS_KEYCTL, unix.KEYCTL_GET_KEYRING_ID, ^uintptr(2), 0),
		"bpf":             raw(unix.SYS_BPF, 0, 0, 0),
		"io_uring":        ioUring,
		"userfaultfd":     raw(unix.SYS_USERFAULTFD, unix.O_CLOEXEC),
		"perf_event_open": perfEvent,
		"unshare user":    func() error { return command(&syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWUSER}) },
		"clone user":      func() error { return command(&syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}) },
		"clone mounts":    func() error { return command(&syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}) },
		"become root":     func() error { return command(&syscall.SysProcAttr{Credential: &syscall.Credential{}}) },
		"chroot":          func() error { return command(&syscall.SysProcAttr{Chroot: "/"}) },
		"mount":           func() error { return bindMount(scratch) },
		"open_tree": func() error {
			fd, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE)
			unix.Close(fd)
			return err
		},
		"file handle":         func() error { _, _, err := unix.NameToHandleAt(unix.AT_FDCWD, "/usr", 0); return err },
		"TIOCSTI":             typeIntoTerminal,
		"chmod u+s":           mode("chmod", func(path string) error { return unix.Chmod(path, 0o4755) }),
		"chmod g+s":           mode("chmodg", func(path string) error { return unix.Chmod(path, 0o2755) }),
		"fchmodat2 u+s":       mode("fchmodat2", func(path string) error { return unix.Fchmodat(unix.AT_FDCWD, path, 0o4755, unix.AT_SYMLINK_NOFOLLOW) }),
		"openat with u+s":     mode("openat", func(path string) error { return createWithMode(path) }),
		"openat2 with u+s":    mode("openat2", func(path string) error { return openat2(path) }),
		"unknown system call": func() error { return unknownCall() },
	}
}

func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func command(attributes *syscall.SysProcAttr) error {
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = attributes
	return cmd.Run()
}

func createWithMode(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	unix.Umask(0)
	fd, err := unix.Open(path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o4755)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func openat2(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{Flags: unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY, Mode: 0o4755})
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func bindMount(path string) error {
	if err := unix.Mount(path, path, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return unix.Unmount(path, unix.MNT_DETACH)
}

func ioUring() error {
	parameters := make([]byte, 120)
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&parameters[0])), 0)
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}

func perfEvent() error {
	fd, err := unix.PerfEventOpen(&unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{}))}, 0, -1, -1, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// typeIntoTerminal fakes input on a terminal of its own.
func typeIntoTerminal() error {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("no terminal to try it on: %w", err)
	}
	defer unix.Close(fd)
	key := byte('x')
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCSTI, uintptr(unsafe.Pointer(&key)))
	if errno != 0 {
		return errno
	}
	return nil
}

// setAddress gives an interface an address.
func setAddress(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := request.SetInet4Addr([]byte{127, 9, 9, 9}); err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, unix.SIOCSIFADDR, request)
}

// unknownCall succeeds when the kernel itself, not a filter, said that it does
// not know a number, which it says with the same error.
func unknownCall() error {
	_, _, errno := unix.Syscall(unix.SYS_RSEQ_SLICE_YIELD+100, 0, 0, 0)
	return errno
}

// machineCode is a program for x86-64 that asks the kernel, by the door of
// 32-bit programs, to exit with code 42.
var machineCode = []byte{
	0xb8, 252, 0, 0, 0, // mov eax, 252 (exit_group)
	0xbb, 42, 0, 0, 0, // mov ebx, 42
	0xcd, 0x80, // int 0x80
	0x0f, 0x0b, // ud2
}

// callI386 runs that code; it does not return.
func callI386() {
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	copy(page, machineCode)
	entry := &page[0]
	function := unsafe.Pointer(&entry)
	(*(*func())(unsafe.Pointer(&function)))()
}

// fields splits a report of key and value lines.
func fields(report string) map[string]string {
	found := make(map[string]string)
	for line := range strings.Lines(report) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		found[key] = strings.TrimSpace(value)
	}
	return found
}
