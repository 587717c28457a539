package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/claude-bottle/claude-bottle/manifest"
)

// PipelockBin is where the firewall's binary is unless the operator says
// otherwise.
const PipelockBin = "/usr/local/bin/pipelock"

// choosePipelock decides whether the second firewall runs. With "auto" an
// absent one, or one that this build cannot vouch for, is left out and said so;
// a binary other than the pinned one is always an error.
func (p *Plan) choosePipelock(o Options, bottle *manifest.Bottle) error {
	p.Pipelock = "off"
	if bottle.Pipelock == "off" {
		p.PipelockNote = "turned off by the bottle file; egress alone decides"
		return nil
	}
	if o.OwnPipelock != nil {
		digest, own, err := o.OwnPipelock(bottle.Backend)
		if err != nil {
			return err
		}
		if own {
			return p.pipelockOf(bottle, "", digest, "the bundle's image holds none")
		}
	}
	bin, pin := o.PipelockBin, o.PipelockSHA256
	if value, ok := o.Lookup("PIPELOCK_BIN"); bin == "" && ok {
		bin = value
	}
	if value, ok := o.Lookup("PIPELOCK_SHA256"); ok && value != "" {
		pin = value
	}
	if bin == "" {
		bin = PipelockBin
	}
	digest, err := fileDigest(bin)
	missing := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		missing = fmt.Sprintf("not installed at %s", bin)
	case err != nil:
		return fmt.Errorf("pipelock: %w", err)
	case pin == "":
		missing = "this build of sidecars accepts no pipelock binary (set PIPELOCK_SHA256)"
	case !strings.EqualFold(digest, pin):
		return fmt.Errorf("pipelock: %s has the digest %s, not the pinned %.64s; install the pinned version, or set pipelock: off in the bottle file", bin, digest, pin)
	}
	if missing != "" {
		digest = ""
	}
	return p.pipelockOf(bottle, bin, digest, missing)
}

// pipelockOf turns the firewall on when there is one with a digest.
func (p *Plan) pipelockOf(bottle *manifest.Bottle, bin, digest, missing string) error {
	if digest != "" {
		p.Pipelock, p.PipelockBin, p.PipelockSHA256 = "on", bin, digest
		return nil
	}
	if bottle.Pipelock == "required" {
		return fmt.Errorf("pipelock: the bottle file requires it: %s", missing)
	}
	p.PipelockNote = missing + "; egress alone decides"
	return nil
}

func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
