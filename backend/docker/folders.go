package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

// folders are the host's folders as the containers get them.
type folders struct{ in, out, workspace string }

// The names below state.Dir's Run folder where folders are shown as another
// user's.
var shownNames = []string{"in", "out", "workspace"}

// prepareFolders makes the folders readable for u. With throughRoot, root writes
// into the workspace for the agent.
func prepareFolders(p *plan.Plan, workspace string, u user, throughRoot bool) (folders, error) {
	direct := folders{p.State.In(), p.State.Out(), workspace}
	if !u.foreign() {
		return direct, nil
	}
	var shown folders
	for i, from := range []string{direct.in, direct.out, direct.workspace} {
		to := filepath.Join(p.State.Run(), shownNames[i])
		real, err := filepath.EvalSymlinks(from)
		if err == nil {
			err = showAs(real, to, u, throughRoot && from == workspace)
		}
		if err != nil {
			return folders{}, err
		}
		*[]*string{&shown.in, &shown.out, &shown.workspace}[i] = to
	}
	return shown, nil
}

// removeFolders undoes prepareFolders, whoever did it.
func removeFolders(dir state.Dir) error {
	var failed []error
	for _, name := range shownNames {
		failed = append(failed, unshow(filepath.Join(dir.Run(), name)))
	}
	return errors.Join(failed...)
}

// secretsPath is where a bottle's secrets are for its bundle: in memory where
// the system has a folder for that.
func secretsPath(dir state.Dir) string {
	sum := sha256.Sum256([]byte(dir))
	name := fmt.Sprintf("claude-bottle-%d-%s", os.Getuid(), hex.EncodeToString(sum[:8]))
	for _, folder := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/run", "/dev/shm"} {
		if !filepath.IsAbs(folder) || !inMemory(folder) || (folder == "/run" && os.Getuid() != 0) {
			continue
		}
		return filepath.Join(folder, name)
	}
	return filepath.Join(dir.Run(), "secrets")
}

// writeSecrets writes the values, one a line, for u alone.
func writeSecrets(dir state.Dir, secrets []string, u user) (string, error) {
	if err := removeSecrets(dir); err != nil {
		return "", err
	}
	return writeHidden(secretsPath(dir), []byte(strings.Join(secrets, "\n")), u)
}

// envPath is beside the secrets, for what the operator supplied to the agent.
func envPath(dir state.Dir) string { return secretsPath(dir) + "-env" }

// writeEnv writes the agent's variables that nobody else may see, for u alone.
// It comes after writeSecrets.
func writeEnv(dir state.Dir, content []byte, u user) (string, error) {
	return writeHidden(envPath(dir), content, u)
}

func writeHidden(path string, content []byte, u user) (string, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("a file for the secrets: %w", err)
	}
	if u.foreign() {
		err = file.Chown(u.uid, u.gid)
	}
	if err == nil {
		_, err = file.Write(content)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("a file for the secrets: %w", err), os.Remove(path))
	}
	return path, nil
}

func removeSecrets(dir state.Dir) error {
	var failed []error
	for _, path := range []string{secretsPath(dir), envPath(dir)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
