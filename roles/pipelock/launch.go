package pipelock

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/claude-bottle/claude-bottle/roles/pipelock/config"
)

// launchAttempts is how often a private address is chosen: between choosing
// and listening somebody else may take it.
const launchAttempts = 3

// launch starts a child on the present configuration and returns it ready.
func (r *Role) launch(ctx context.Context, dir string) (*child, error) {
	src, err := os.ReadFile(r.c.ConfigPath)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := checkAuthority(r.c.CACertPath, r.c.CAKeyPath); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	for attempt := 1; ; attempt++ {
		c, err := r.try(ctx, src, dir)
		if err == nil || attempt == launchAttempts || ctx.Err() != nil || !addressTaken(err) {
			return c, err
		}
	}
}

// try starts one child and waits until it is ready.
func (r *Role) try(ctx context.Context, src []byte, dir string) (*child, error) {
	address, err := privateAddress()
	if err != nil {
		return nil, err
	}
	files, err := os.MkdirTemp(dir, "child-")
	if err != nil {
		return nil, fmt.Errorf("private folder of the child: %w", err)
	}
	secrets := secretLines(r.c.Secrets)
	own := config.Child{Listen: address, CACert: r.c.CACertPath, CAKey: r.c.CAKeyPath}
	if len(secrets) > 0 {
		own.SecretsFile = secretsFD
	}
	file, err := writeConfig(files, src, own)
	if err != nil {
		os.RemoveAll(files)
		return nil, err
	}
	c, err := r.startChild(file, address, digest(src), secrets)
	if err != nil {
		os.RemoveAll(files)
		return nil, err
	}
	if err := c.awaitReady(ctx, r.c.StartTimeout); err != nil {
		grace := r.c.StopGrace
		if ctx.Err() != nil {
			grace = 0 // somebody waits, and nobody uses it yet
		}
		c.stop(grace)
		return nil, err
	}
	return c, nil
}

// writeConfig writes the child's configuration, for its eyes only.
func writeConfig(dir string, src []byte, own config.Child) (file string, err error) {
	yaml, err := config.ForChild(src, own)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrConfig, err)
	}
	file = filepath.Join(dir, "pipelock.yaml")
	return file, os.WriteFile(file, yaml, 0o600)
}

// secretLines is what of the secrets pipelock can read: one a line, of 16 to
// 4096 bytes. The frame of a PEM key is no secret.
func secretLines(secrets []string) []string {
	var lines []string
	for _, secret := range secrets {
		for line := range strings.FieldsFuncSeq(secret, func(c rune) bool { return c == '\n' || c == '\r' || c == 0 }) {
			line = strings.TrimSpace(line)
			if len(line) >= 16 && len(line) <= 4096 && !strings.HasPrefix(line, "-----") {
				lines = append(lines, line)
			}
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// checkAuthority finds out early, and in words, what would stop the child.
func checkAuthority(certPath, keyPath string) error {
	cert, err := os.ReadFile(certPath)
	if err != nil {
		return err
	}
	if block, _ := pem.Decode(cert); block == nil || block.Type != "CERTIFICATE" {
		return fmt.Errorf("%s holds no certificate in PEM", certPath)
	}
	info, err := os.Stat(keyPath)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&^0o640 != 0 {
		return fmt.Errorf("%s has mode %04o; make it 0600", keyPath, info.Mode().Perm())
	}
	key, err := os.ReadFile(keyPath)
	if err != nil {
		return err
	}
	defer clear(key)
	if block, _ := pem.Decode(key); block == nil || block.Type != "EC PRIVATE KEY" {
		return fmt.Errorf("%s is no EC key in SEC1 PEM (BEGIN EC PRIVATE KEY)", keyPath)
	}
	return nil
}

// privateAddress is a loopback address that was free a moment ago.
func privateAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("private address of the child: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
