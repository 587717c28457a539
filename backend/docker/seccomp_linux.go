package docker

import (
	"encoding/json"
	"slices"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// refusedCalls are system calls that the engine's own profile lets through in
// some version or for some capability, and that an agent has no use for.
var refusedCalls = []string{
	"add_key", "bpf", "chroot", "fanotify_init", "io_uring_enter", "io_uring_register", "io_uring_setup", "keyctl",
	"lookup_dcookie", "name_to_handle_at", "open_by_handle_at", "perf_event_open", "request_key", "userfaultfd",
}

// conditioned are those that get conditions here; they are taken out of the
// engine's profile. openat2 and clone3 hide their arguments, so that they fail
// as if they did not exist.
var conditioned = []string{
	"chmod", "clone", "clone3", "creat", "fchmod", "fchmodat", "fchmodat2", "ioctl", "mkdir", "mkdirat", "mknod", "mknodat",
	"open", "openat", "openat2", "socket", "socketcall", "socketpair",
}

const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// seccompProfile is the agent's system call policy as the engine takes it: the
// engine's own list of what is allowed, without refusedCalls, and with the
// conditions that the namespace backend has too.
func seccompProfile() (string, error) {
	profile := seccomp.DefaultProfile()
	taken := slices.Concat(refusedCalls, conditioned)
	kept := profile.Syscalls[:0]
	for _, rule := range profile.Syscalls {
		rule.Names = slices.DeleteFunc(slices.Clone(rule.Names), func(name string) bool { return slices.Contains(taken, name) })
		if len(rule.Names) > 0 {
			kept = append(kept, rule)
		}
	}
	profile.Syscalls = append(kept, conditions()...)
	// The 32-bit ABIs have calls of other numbers and shapes.
	for i := range profile.ArchMap {
		profile.ArchMap[i].SubArches = nil
	}
	text, err := json.Marshal(profile)
	return string(text), err
}

// allow lets calls through when all conditions hold. The runtime takes several
// conditions on one argument for alternatives, so that there is never but one.
func allow(names []string, conditions ...specs.LinuxSeccompArg) *seccomp.Syscall {
	return &seccomp.Syscall{LinuxSyscall: specs.LinuxSyscall{Names: names, Action: specs.ActAllow, Args: conditions}}
}

// masked holds when the bits of mask have the value; arguments have 64 bits,
// of which the kernel ignores some.
func masked(index uint, mask, value uint64) specs.LinuxSeccompArg {
	return specs.LinuxSeccompArg{Index: index, Value: mask, ValueTwo: value, Op: specs.OpMaskedEqual}
}

func conditions() []*seccomp.Syscall {
	const setID = unix.S_ISUID | unix.S_ISGID
	const makesFile = unix.O_CREAT | 0o20000000 // __O_TMPFILE
	const whole = 1<<32 - 1
	missing := uint(unix.ENOSYS)
	rules := []*seccomp.Syscall{
		{LinuxSyscall: specs.LinuxSyscall{Names: []string{"clone3", "openat2"}, Action: specs.ActErrno, ErrnoRet: &missing}},
		allow([]string{"clone"}, masked(0, newNamespaces, 0)),
		allow([]string{"chmod", "creat", "fchmod", "mkdir", "mknod"}, masked(1, setID, 0)),
		allow([]string{"fchmodat", "fchmodat2", "mkdirat", "mknodat"}, masked(2, setID, 0)),
		// The mode of a call that makes no file is whatever the register held.
		allow([]string{"open"}, masked(1, makesFile, 0)),
		allow([]string{"open"}, masked(2, setID, 0)),
		allow([]string{"openat"}, masked(2, makesFile, 0)),
		allow([]string{"openat"}, masked(3, setID, 0)),
		allow([]string{"socket", "socketpair"}, masked(0, whole, unix.AF_NETLINK), masked(2, whole, unix.NETLINK_ROUTE)),
	}
	for _, family := range []uint64{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6} {
		rules = append(rules, allow([]string{"socket", "socketpair"}, masked(0, whole, family)))
	}
	return append(rules, ioctls()...)
}

// ioctls allow all but those that type into a terminal or change how it works.
// A list of what is allowed says "all but" so: what differs in one of the high
// bits, and of those that do not each other one.
func ioctls() []*seccomp.Syscall {
	const base, low = unix.TIOCSTI &^ 0x3f, 0x3f
	var rules []*seccomp.Syscall
	for bit := uint64(low + 1); bit < 1<<32; bit <<= 1 {
		rules = append(rules, allow([]string{"ioctl"}, masked(1, bit, ^uint64(base)&bit)))
	}
	for number := uint64(base); number <= base|low; number++ {
		if !slices.Contains([]uint64{unix.TIOCSTI, unix.TIOCLINUX, unix.TIOCSETD}, number) {
			rules = append(rules, allow([]string{"ioctl"}, masked(1, 1<<32-1, number)))
		}
	}
	return rules
}
