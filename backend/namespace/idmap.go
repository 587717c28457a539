//go:build linux

package namespace

import (
	"fmt"
	"os"

	"github.com/claude-bottle/claude-bottle/internal/idmap"
)

// mapWorkspace returns a detached mount of a folder in which the files of its
// owner appear as those of uid, and what uid writes becomes the owner's. It
// needs the host's root.
func mapWorkspace(path, self string, uid int) (*os.File, error) {
	folder, err := openFolder(path)
	if err != nil {
		return nil, fmt.Errorf("workspace: %w", err)
	}
	defer folder.Close()
	mount, err := idmap.Mount(folder, idmap.Show{As: idmap.Owner{UID: uid, GID: uid}, Program: self})
	if err != nil {
		return nil, fmt.Errorf("workspace: %w", err)
	}
	return mount, nil
}
