package main

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/state"
)

func newAudit(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: auditShort}
	cmd.AddCommand(newAuditShow(a), newAuditVerify(a))
	return cmd
}

func newAuditVerify(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "verify [SLUG]", Short: auditVerifyShort, Long: auditVerifyLong, Args: cobra.MaximumNArgs(1)}
	a.jsonFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		home, err := a.dir()
		if err != nil {
			return err
		}
		checked, err := checkChains(home, args)
		if err != nil {
			return err
		}
		broken := 0
		for _, c := range checked {
			if c.Broken != "" {
				broken++
			}
			if !a.json {
				printChecked(c)
			}
		}
		if a.json {
			if err := printJSON(checked); err != nil {
				return err
			}
		}
		if broken > 0 {
			return errAuditBroken(broken)
		}
		return nil
	}
	return cmd
}

// checkedChain is one chain and what verifying it gave.
type checkedChain struct {
	// Slug is the bottle's; "" = the operator's chain.
	Slug string `json:"slug,omitempty"`
	Path string `json:"path"`
	// Records is how many lines hold; Anchored the newest that the operator's
	// chain names.
	Records  uint64 `json:"records"`
	Anchored uint64 `json:"anchored,omitempty"`
	Removed  bool   `json:"removed,omitempty"`
	// Broken names the first broken line: "" = none. File, Line and Seq are its.
	Broken string `json:"broken,omitempty"`
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Seq    uint64 `json:"seq,omitempty"`
}

// checkChains verifies the operator's chain and those of the bottles that it
// or the state folder knows, or of the given ones.
func checkChains(home state.Home, slugs []string) ([]checkedChain, error) {
	operator, err := patiently(func() (audit.Report, error) { return audit.Verify(home.OperatorLog()) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	checked := []checkedChain{checkedOf("", home.OperatorLog(), operator, nil)}
	given := len(slugs) > 0
	if !given {
		if slugs, err = home.Slugs(); err != nil {
			return nil, err
		}
		slugs = append(slugs, operator.Slugs()...)
		slices.Sort(slugs)
		slugs = slices.Compact(slugs)
	}
	for _, slug := range slugs {
		if err := state.CheckSlug(slug); err != nil {
			return nil, err
		}
		heads, removed := operator.Heads(slug, "")
		path := home.Dir(slug).Audit()
		if !home.Exists(slug) {
			if given && len(heads) == 0 && !removed {
				return nil, errNoAudit(slug)
			}
			gone := checkedChain{Slug: slug, Path: path, Removed: removed}
			if !removed && len(heads) > 0 {
				gone.Broken = whyGone
			}
			checked = append(checked, gone)
			continue
		}
		checked = append(checked, checkBundle(home, slug, path, heads))
		for _, role := range state.LoneRoles {
			heads, _ := operator.Heads(slug, role)
			if path := home.Dir(slug).RoleAudit(role); len(heads) > 0 || isThere(path) {
				checked = append(checked, checkBundle(home, slug, path, heads))
			}
		}
	}
	return checked, nil
}

// isThere tells whether a path names something, be it a link to nothing.
func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// checkBundle verifies one chain of a bottle.
func checkBundle(home state.Home, slug, path string, heads []audit.Head) checkedChain {
	report, err := patiently(func() (audit.Report, error) {
		return audit.VerifyBundle(path, home.OperatorLog(), heads...)
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // no line was written, and none is missing
	}
	if err != nil {
		report.Broken = &audit.Break{File: path, Why: "cannot be read: " + err.Error()}
	}
	return checkedOf(slug, path, report, heads)
}

// patiently verifies once more where the last line had no end: somebody may
// just have been writing it.
func patiently(verify func() (audit.Report, error)) (audit.Report, error) {
	report, err := verify()
	if err == nil && report.Broken != nil && report.Broken.Torn {
		time.Sleep(200 * time.Millisecond)
		return verify()
	}
	return report, err
}

func checkedOf(slug, path string, report audit.Report, heads []audit.Head) checkedChain {
	c := checkedChain{Slug: slug, Path: path, Records: report.Records}
	for _, h := range heads {
		c.Anchored = max(c.Anchored, h.Seq)
	}
	if b := report.Broken; b != nil {
		c.Broken, c.File, c.Line, c.Seq = b.Error(), b.File, b.Line, b.Seq
	}
	return c
}
