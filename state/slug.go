package state

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// ErrExists says that a bottle with this slug, living or dead, has a folder.
var ErrExists = errors.New("a bottle of this name exists")

var slugForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,40}$`)

// CheckSlug tells whether text may be a bottle's slug: 1 to 41 lower-case
// letters, digits and '-', not beginning with '-'.
func CheckSlug(text string) error {
	if !slugForm.MatchString(text) {
		return fmt.Errorf("%.60q cannot name a bottle: use a-z, 0-9 and '-', at most 41 of them, beginning with a letter or digit", text)
	}
	return nil
}

// NewSlug returns a fresh slug, `<agent>-<5 base36>`.
func NewSlug(agent string) string {
	prefix := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(agent)), "-")
	if len(prefix) > 35 {
		prefix = strings.TrimRight(prefix[:35], "-")
	}
	if prefix == "" {
		prefix = "bottle"
	}
	return prefix + "-" + randomBase36(5)
}

func randomBase36(n int) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	out := make([]byte, 0, n)
	for len(out) < n {
		var b [16]byte
		rand.Read(b[:])
		for _, x := range b {
			if x < 252 && len(out) < n { // the largest multiple of 36 in a byte
				out = append(out, digits[x%36])
			}
		}
	}
	return string(out)
}

// Create makes a new bottle's folder with all that belongs in it, empty.
// Errors match ErrExists when the slug is taken; then nothing was changed.
func (h Home) Create(slug string) (Dir, error) {
	if err := CheckSlug(slug); err != nil {
		return "", err
	}
	if err := h.Ensure(); err != nil {
		return "", err
	}
	d := h.Dir(slug)
	if err := os.Mkdir(string(d), 0o700); errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%w: %s, with its folder %s", ErrExists, slug, d)
	} else if err != nil {
		return "", fmt.Errorf("making the bottle's folder: %w", err)
	}
	for _, dir := range []string{d.In(), d.GitKeys(), d.Out(), d.Queue(), filepath.Dir(d.Audit()), d.Run()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return "", errors.Join(fmt.Errorf("making the bottle's folder: %w", err), os.RemoveAll(string(d)))
		}
	}
	return d, nil
}

// Exists tells whether the slug has a folder.
func (h Home) Exists(slug string) bool {
	_, err := os.Lstat(string(h.Dir(slug)))
	return err == nil
}

// Slugs lists the bottles that have a folder, living or dead, by name.
func (h Home) Slugs() ([]string, error) {
	entries, err := os.ReadDir(h.states())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the bottles: %w", err)
	}
	var slugs []string
	for _, entry := range entries {
		if entry.IsDir() && CheckSlug(entry.Name()) == nil {
			slugs = append(slugs, entry.Name())
		}
	}
	return slugs, nil
}
