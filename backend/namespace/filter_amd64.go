//go:build linux

package namespace

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_X86_64
	// x32Bit marks the calls of the x32 ABI, which shares the architecture.
	x32Bit = 0x40000000
)

var (
	archForbidden     = []uint32{unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_USELIB, unix.SYS_MODIFY_LDT}
	archAbsent        = []uint32{unix.SYS__SYSCTL}
	archModeArguments = map[uint32]int{unix.SYS_CHMOD: 1, unix.SYS_CREAT: 1, unix.SYS_MKDIR: 1, unix.SYS_MKNOD: 1}
	archOpenArguments = map[uint32]int{unix.SYS_OPEN: 1}
)
