package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/state"
)

func newAuditShow(a *app) *cobra.Command {
	var since string
	var follow bool
	cmd := &cobra.Command{Use: "show [SLUG]", Short: auditShowShort, Long: auditShowLong, Args: cobra.MaximumNArgs(1)}
	cmd.Flags().StringVar(&since, "since", "", flagSince)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, flagAuditFollow)
	a.jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		home, err := a.dir()
		if err != nil {
			return err
		}
		s := auditShow{out: bufio.NewWriter(os.Stdout), json: a.json}
		if s.since, err = parseSince(since, time.Now()); err != nil {
			return err
		}
		if s.sources, err = auditSources(home, args); err != nil {
			return err
		}
		defer s.close()
		if err := s.history(); err != nil || !follow {
			return errors.Join(err, s.out.Flush())
		}
		return s.follow(cmd.Context())
	}
	return cmd
}

// parseSince reads a point in time, or how long before now; "" is the zero
// time.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errSince(text)
}

// auditSource is one chain to show.
type auditSource struct {
	chain  string // "operator" or "bundle"
	slug   string // of the records to show; "" = all
	reader *audit.Reader
}

// auditSources are the chains about one bottle, or all there are.
func auditSources(home state.Home, slugs []string) ([]auditSource, error) {
	operator := auditSource{chain: "operator", reader: audit.NewReader(home.OperatorLog())}
	if len(slugs) > 0 {
		if err := state.CheckSlug(slugs[0]); err != nil {
			return nil, err
		}
		if !home.Exists(slugs[0]) {
			return nil, errNoAudit(slugs[0])
		}
		operator.slug = slugs[0]
	} else {
		var err error
		if slugs, err = home.Slugs(); err != nil {
			return nil, err
		}
	}
	sources := []auditSource{operator}
	for _, slug := range slugs {
		dir := home.Dir(slug)
		sources = append(sources, auditSource{chain: "bundle", reader: audit.NewReader(dir.Audit())})
		for _, role := range state.LoneRoles {
			if path := dir.RoleAudit(role); isThere(path) {
				sources = append(sources, auditSource{chain: "bundle", reader: audit.NewReader(path)})
			}
		}
	}
	return sources, nil
}

// auditShow prints the records of several chains.
type auditShow struct {
	out     *bufio.Writer
	json    bool
	since   time.Time
	sources []auditSource
}

func (s *auditShow) close() {
	for _, source := range s.sources {
		source.reader.Close()
	}
}

// history prints what there is, by time.
func (s *auditShow) history() error {
	type waiting struct {
		auditSource
		next  func() (audit.Entry, error, bool)
		entry audit.Entry
	}
	var open []*waiting
	advance := func(w *waiting) (bool, error) {
		for {
			entry, err, ok := w.next()
			if !ok || err != nil {
				return false, err
			}
			if !s.wanted(w.auditSource, entry) {
				continue
			}
			w.entry = entry
			return true, nil
		}
	}
	for _, source := range s.sources {
		w := &waiting{auditSource: source}
		var stop func()
		w.next, stop = iter.Pull2(source.entries())
		defer stop()
		ok, err := advance(w)
		if err != nil {
			return err
		}
		if ok {
			open = append(open, w)
		}
	}
	for len(open) > 0 {
		first := 0
		for i, w := range open {
			if w.entry.Time.Before(open[first].entry.Time) {
				first = i
			}
		}
		w := open[first]
		if err := s.print(w.chain, w.entry); err != nil {
			return err
		}
		ok, err := advance(w)
		if err != nil {
			return err
		}
		if !ok {
			open = append(open[:first], open[first+1:]...)
		}
	}
	return nil
}

var errEnough = errors.New("enough")

// entries are those that were not read yet.
func (s auditSource) entries() iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		err := s.reader.Next(func(e audit.Entry) error {
			if !yield(e, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) && !errors.Is(err, fs.ErrNotExist) {
			yield(audit.Entry{}, errBrokenChain(err))
		}
	}
}

// follow prints what is added, until ctx ends.
func (s *auditShow) follow(ctx context.Context) error {
	for {
		for _, source := range s.sources {
			for entry, err := range source.entries() {
				if err == nil && s.wanted(source, entry) {
					err = s.print(source.chain, entry)
				}
				if err != nil {
					return errors.Join(err, s.out.Flush())
				}
			}
		}
		if err := s.out.Flush(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (s *auditShow) wanted(source auditSource, e audit.Entry) bool {
	return !e.Time.Before(s.since) && (source.slug == "" || source.slug == e.Slug)
}

func (s *auditShow) print(chain string, e audit.Entry) error {
	if !s.json {
		return printEntry(s.out, e)
	}
	text, err := json.Marshal(struct {
		Chain string `json:"chain"`
		audit.Entry
	}{chain, e})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, visible(string(text)))
	return err
}

// visible writes what a terminal would not show as it is in JSON's escapes.
func visible(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsPrint(r):
			out.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}
