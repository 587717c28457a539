//go:build linux

package namespace

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	x32Bit    = 0x40000000 // no call has such a number
)

var (
	archForbidden     []uint32
	archAbsent        []uint32
	archModeArguments map[uint32]int
	archOpenArguments map[uint32]int
)
