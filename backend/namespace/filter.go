//go:build linux

package namespace

import (
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// newNamespaces are all flags that make a namespace.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// setIDBits are the mode bits with which a file runs as its owner. The
// workspace's files have an owner outside.
const setIDBits = unix.S_ISUID | unix.S_ISGID

// lastSyscall is the highest number whose effect was considered here; what the
// kernel learned later does not exist for the agent.
const lastSyscall = unix.SYS_RSEQ_SLICE_YIELD

// forbidden system calls fail with EPERM, whatever their arguments.
var forbidden = []uint32{
	// Mounts and roots.
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE,
	unix.SYS_OPEN_TREE_ATTR, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
	unix.SYS_SETNS, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_FANOTIFY_INIT,
	// Keyrings, which no namespace divides.
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	// Wide doors into the kernel that few programs need.
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	// The machine's administration.
	unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE,
	unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SYSLOG,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_SETHOSTNAME,
	unix.SYS_SETDOMAINNAME, unix.SYS_VHANGUP, unix.SYS_LOOKUP_DCOOKIE,
}

// absent system calls fail with ENOSYS, so that programs take the older way,
// whose arguments can be checked.
var absent = []uint32{
	unix.SYS_CLONE3, unix.SYS_OPENAT2, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
}

// modeArguments tells which argument of a call is a file's mode.
var modeArguments = map[uint32]int{
	unix.SYS_FCHMOD: 1, unix.SYS_FCHMODAT: 2, unix.SYS_FCHMODAT2: 2, unix.SYS_MKDIRAT: 2, unix.SYS_MKNODAT: 2,
}

// openArguments tells which argument of a call is the flags; the mode follows.
var openArguments = map[uint32]int{unix.SYS_OPENAT: 2}

// Offsets in struct seccomp_data, seccomp(2).
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// Constants that neither package has.
const (
	openTmpfile = 0o20000000 // __O_TMPFILE
	typeMask    = 0xf        // SOCK_TYPE_MASK
)

// filter is the agent's system call policy as a BPF program.
func filter() ([]bpf.RawInstruction, error) {
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		kill,
		bpf.LoadAbsolute{Off: offsetNumber, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: x32Bit, SkipTrue: 1},
		kill,
		bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: lastSyscall, SkipTrue: 1},
		fail(unix.ENOSYS),
	}
	for _, number := range slices.Concat(forbidden, archForbidden) {
		program = append(program, when(number, fail(unix.EPERM))...)
	}
	for _, number := range slices.Concat(absent, archAbsent) {
		program = append(program, when(number, fail(unix.ENOSYS))...)
	}
	program = append(program, when(unix.SYS_CLONE, argument(0), ifAny(newNamespaces), fail(unix.EPERM), allow)...)
	program = append(program, when(unix.SYS_SETRLIMIT, argument(0), ifEqual(unix.RLIMIT_CORE), fail(0), allow)...)
	program = append(program, when(unix.SYS_UNSHARE, argument(0), ifAny(newNamespaces|unix.CLONE_NEWTIME), fail(unix.EPERM), allow)...)
	program = append(program, when(unix.SYS_IOCTL, argument(1),
		ifEqual(unix.TIOCSTI), fail(unix.EPERM), ifEqual(unix.TIOCLINUX), fail(unix.EPERM), ifEqual(unix.TIOCSETD), fail(unix.EPERM), allow)...)
	program = append(program, when(unix.SYS_PRLIMIT64, prlimitRules()...)...)
	program = append(program, when(unix.SYS_SOCKET, socketRules()...)...)
	program = append(program, when(unix.SYS_SOCKETPAIR, socketRules()...)...)
	for _, calls := range []map[uint32]int{modeArguments, archModeArguments} {
		for number, mode := range calls {
			program = append(program, when(number, argument(mode), ifAny(setIDBits), fail(unix.EPERM), allow)...)
		}
	}
	for _, calls := range []map[uint32]int{openArguments, archOpenArguments} {
		for number, flags := range calls {
			// The mode of a call that makes no file is whatever the register held.
			program = append(program, when(number, argument(flags), unlessAny(unix.O_CREAT|openTmpfile), allow,
				argument(flags+1), ifAny(setIDBits), fail(unix.EPERM), allow)...)
		}
	}
	return bpf.Assemble(append(program, allow))
}

// prlimitRules keep the limit of core dumps as it is. Programs that lower it
// mean to have none; they are told that it worked.
func prlimitRules() []bpf.Instruction {
	const newLimit = 2
	return []bpf.Instruction{
		argument(1), bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.RLIMIT_CORE, SkipTrue: 1}, allow,
		argument(newLimit), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 3},
		bpf.LoadAbsolute{Off: offsetArgs + 8*newLimit + 4, Size: 4}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 1}, allow,
		fail(0),
	}
}

// socketRules allow the families and protocols that programs speak, and of
// netlink only what lists interfaces and routes.
func socketRules() []bpf.Instruction {
	var protocols []bpf.Instruction
	for _, protocol := range []uint32{0, unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6, unix.IPPROTO_MPTCP} {
		protocols = append(protocols, ifEqual(protocol), allow)
	}
	inet := append([]bpf.Instruction{
		argument(1), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: typeMask},
		bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: unix.SOCK_RAW, SkipTrue: 1}, fail(unix.EPROTONOSUPPORT),
		argument(2),
	}, append(protocols, fail(unix.EPROTONOSUPPORT))...)
	rules := []bpf.Instruction{
		argument(0),
		ifEqual(unix.AF_UNIX), allow,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_NETLINK, SkipFalse: 4},
		argument(2), ifEqual(unix.NETLINK_ROUTE), allow, fail(unix.EPROTONOSUPPORT),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET6, SkipTrue: 1},
		fail(unix.EAFNOSUPPORT),
	}
	return append(rules, inet...)
}

var (
	allow = bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	kill  = bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS}
)

func fail(errno unix.Errno) bpf.Instruction {
	return bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(errno)}
}

// when applies rules, which must end in a return, to one system call. The
// accumulator holds the number before and, for every other call, after.
func when(number uint32, rules ...bpf.Instruction) []bpf.Instruction {
	return append([]bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpEqual, Val: number, SkipFalse: uint8(len(rules))}}, rules...)
}

// argument loads the low half of an argument; the kernel ignores the other
// half of all that is checked here.
func argument(index int) bpf.Instruction {
	return bpf.LoadAbsolute{Off: uint32(offsetArgs + 8*index), Size: 4}
}

// ifAny, unlessAny and ifEqual apply the next instruction on that condition.
func ifAny(bits uint32) bpf.Instruction {
	return bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: bits, SkipFalse: 1}
}

func unlessAny(bits uint32) bpf.Instruction {
	return bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: bits, SkipTrue: 1}
}

func ifEqual(value uint32) bpf.Instruction {
	return bpf.JumpIf{Cond: bpf.JumpEqual, Val: value, SkipFalse: 1}
}

// installFilter puts the policy in force for this thread and what it executes.
func installFilter() error {
	raw, err := filter()
	if err != nil {
		return fmt.Errorf("assemble the system call filter: %w", err)
	}
	instructions := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		instructions[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	program := unix.SockFprog{Len: uint16(len(instructions)), Filter: &instructions[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(instructions)
	if errno != 0 {
		return fmt.Errorf("install the system call filter: %w", errno)
	}
	return nil
}
