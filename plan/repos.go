package plan

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/claude-bottle/claude-bottle/manifest"
	gitgate "github.com/claude-bottle/claude-bottle/roles/gitgate/config"
)

// prepareRepos makes git-gate's configuration and the files of its keys.
func prepareRepos(o Options, bottle *manifest.Bottle, credentials *credentials) (*gitgate.Config, []File, error) {
	repos := make(map[string]gitgate.Repo)
	var keys []File
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(bottle.Repos)) {
		repo := bottle.Repos[name]
		identity, tokenEnv := "", ""
		if repo.TokenRef != "" {
			tokenEnv = credentials.name(repo.TokenRef, repo.Where, "git-gate")
		}
		if repo.Identity != "" {
			identity = path.Join("keys", name)
			key, err := readKey(o, repo.Identity)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: identity: %w", repo.Where, err))
			}
			keys = append(keys, File{Path: identity, Mode: 0o600, Content: key})
		}
		repos[name] = repo.Rendered(identity, tokenEnv)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	config, err := gitgate.New(repos)
	return config, keys, err
}

// readKey reads a private key that needs no passphrase: nobody is there to type
// one.
func readKey(o Options, name string) ([]byte, error) {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		home, ok := o.Lookup("HOME")
		if !ok {
			return nil, errors.New("~ stands for the host variable HOME, which is not set")
		}
		name = filepath.Join(home, rest)
	}
	if !filepath.IsAbs(name) {
		return nil, fmt.Errorf("%s: give the whole path, or begin with ~/", name)
	}
	if within(o.Workspace, realPath(name)) {
		return nil, fmt.Errorf("%s lies in the workspace, where the agent reads it; keep the key elsewhere", name)
	}
	key, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	_, err = ssh.ParseRawPrivateKey(key)
	var passphrase *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &passphrase):
		return nil, fmt.Errorf("%s is protected by a passphrase; make a deploy key without one", name)
	case err != nil:
		return nil, fmt.Errorf("%s is no private key that can be read", name)
	}
	return key, nil
}
