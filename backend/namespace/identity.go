//go:build linux

package namespace

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/claude-bottle/claude-bottle/state"
)

// identity is who a bottle's agent is on the host.
type identity struct {
	uid, gid int
	// foreign tells that it is a user of the bottle's own, as root's bottles
	// have it, not the operator.
	foreign bool
}

// The range of users for root's bottles, which no distribution and no
// container engine hands out; see systemd's "Users, Groups, UIDs and GIDs".
const (
	firstForeign = 1879048192
	foreignCount = 1 << 28
)

// identityOf picks the agent's user: the operator, or for root one made from
// the bottle's folder, so that bottles cannot touch each other.
func identityOf(dir state.Dir) (identity, error) {
	if uid := os.Geteuid(); uid != 0 {
		return identity{uid: uid, gid: os.Getegid()}, nil
	}
	sum := sha256.Sum256([]byte(dir))
	offset := binary.BigEndian.Uint32(sum[:]) % foreignCount
	for _, file := range []string{"/proc/self/uid_map", "/proc/self/gid_map"} {
		content, err := os.ReadFile(file)
		if err != nil {
			return identity{}, err
		}
		// In a container that maps fewer users there is nobody to be.
		if !covers(string(content), firstForeign+offset) {
			return identity{}, errors.New("root of this container cannot use the unprivileged users that bottles run as " +
				"(" + file + " does not map them); start bottle as an ordinary user")
		}
	}
	id := int(firstForeign + offset)
	return identity{uid: id, gid: id, foreign: true}, nil
}

func covers(idMap string, id uint32) bool {
	for line := range strings.Lines(idMap) {
		var inner, outer, count uint32
		if n, _ := fmt.Sscan(line, &inner, &outer, &count); n == 3 && id >= inner && id-inner < count {
			return true
		}
	}
	return false
}
