package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Locate finds the home folder: $CLAUDE_BOTTLE_HOME, else .claude-bottle in
// the user's home folder. It does not make it.
func Locate() (Home, error) {
	if dir := os.Getenv("CLAUDE_BOTTLE_HOME"); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", fmt.Errorf("CLAUDE_BOTTLE_HOME: %w", err)
		}
		return Home(abs), nil
	}
	user, err := os.UserHomeDir()
	if err != nil || !filepath.IsAbs(user) {
		return "", errors.New("cannot tell where bottles live: HOME is not set to an absolute path; set it, or CLAUDE_BOTTLE_HOME")
	}
	return Home(filepath.Join(user, ".claude-bottle")), nil
}

// Ensure makes the folders below the home folder that are missing, readable
// for their owner alone.
func (h Home) Ensure() error {
	for _, dir := range []string{string(h), h.Bottles(), h.Agents(), h.Skills(), h.states(), filepath.Dir(h.OperatorLog())} {
		if err := makePrivate(dir); err != nil {
			return err
		}
	}
	return nil
}

// makePrivate makes dir with mode 0700. One that others may write to is an
// error: what stands in it could be theirs.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the state folder: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s can be written by others (mode %04o); run: chmod 0700 %s", dir, info.Mode().Perm(), dir)
	}
	return nil
}
