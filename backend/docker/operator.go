package docker

import (
	"os"
	"strconv"
)

// rootsUser is who containers run as when the operator is root: a user that
// nobody is.
const rootsUser = 65532

// user is who a bottle's containers run as on the host.
type user struct{ uid, gid int }

// operator is this user, or for root one without rights.
func operator() user {
	uid, gid := os.Getuid(), os.Getgid()
	if uid <= 0 {
		return user{rootsUser, rootsUser}
	}
	return user{uid, gid}
}

// foreign tells that it is not the operator, so that the operator's files have
// to be shown to it as its own.
func (u user) foreign() bool { return u.uid != os.Getuid() }

func (u user) String() string { return strconv.Itoa(u.uid) + ":" + strconv.Itoa(u.gid) }
