package control_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/proposal"
)

// TestSpentGrantsAreTheBundlesWord: whatever lies there, the grants are listed,
// and what is left lies between nothing and all.
func TestSpentGrantsAreTheBundlesWord(t *testing.T) {
	l := newLab(t)
	asked := l.askHost(l.mcp(), "new.test")
	if _, err := l.operator().Approve(t.Context(), asked.ID, asked.review(), control.Terms{Uses: 5}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(l.dir.Audit()), "grants.json")
	secret := filepath.Join(t.TempDir(), "secret")
	l.write(secret, []byte(`{"`+asked.ID+`": 1}`))
	link := func() error { return os.Symlink(secret, path) }
	put := func(content string) func() error {
		return func() error { return os.WriteFile(path, []byte(content), 0o600) }
	}
	for name, c := range map[string]struct {
		make func() error
		left int
	}{
		"nothing":   {func() error { return nil }, 5},
		"two spent": {put(`{"` + asked.ID + `": 2}`), 3},
		"negative":  {put(`{"` + asked.ID + `": -9}`), 5},
		"more":      {put(`{"` + asked.ID + `": 99}`), 0},
		"no JSON":   {put(`{"`), -1},
		"huge":      {put(strings.Repeat("x", 5<<20)), -1},
		"a link":    {link, -1},
		"a folder":  {func() error { return os.Mkdir(path, 0o700) }, -1},
	} {
		if err := errors.Join(os.RemoveAll(path), c.make()); err != nil {
			t.Fatal(err)
		}
		grants, err := l.operator().Grants(t.Context())
		if err != nil || len(grants) != 1 || grants[0].Left != c.left || grants[0].Ended != (c.left == 0) {
			t.Errorf("%s: %+v, %v", name, grants, err)
		}
	}
}

// TestLookalikesAreShownBeside: a name in other letters is shown as it is
// compared, and as it would look.
func TestLookalikesAreShownBeside(t *testing.T) {
	l := newLab(t)
	asked := l.ask(l.mcp(), "egress-block", map[string]any{"host": "gіthub.com", "justification": "\u202ethe \u200bforge"}) // a Cyrillic і
	r, err := l.operator().Review(t.Context(), asked.ID)
	if err != nil {
		t.Fatal(err)
	}
	if r.Host != "xn--gthub-n2e.com" || r.Unicode != "gіthub.com" || r.Justification != "the forge" {
		t.Errorf("host %q, shown as %q, says %q", r.Host, r.Unicode, r.Justification)
	}
	if s := control.Summary(r.Proposal); s != "xn--gthub-n2e.com (shown as gіthub.com)" {
		t.Errorf("summary %q", s)
	}
	if _, err := l.operator().Approve(t.Context(), asked.ID, asked.review(), control.Terms{}); err != nil {
		t.Fatal(err)
	}
	l.wantHosts("xn--gthub-n2e.com")
}

// TestAQueueThatIsNone is refused, not followed.
func TestAQueueThatIsNone(t *testing.T) {
	l := newLab(t)
	asked := l.askHost(l.mcp(), "new.test")
	away := t.TempDir()
	if err := errors.Join(os.Rename(l.dir.Queue(), filepath.Join(away, "queue")), os.Symlink(filepath.Join(away, "queue"), l.dir.Queue())); err != nil {
		t.Fatal(err)
	}
	if _, _, err := control.Waiting(l.dir); err == nil {
		t.Error("a link was followed")
	}
	if control.Has(l.dir, asked.ID) {
		t.Error("found behind a link")
	}
	if _, err := l.operator().Approve(t.Context(), asked.ID, asked.review(), control.Terms{}); err == nil {
		t.Error("approved what lies behind a link")
	}
	l.wantHosts()
}

// TestWhatWasShown is remembered per proposal, and holds against a change.
func TestWhatWasShown(t *testing.T) {
	l := newLab(t)
	asked := l.askHost(l.mcp(), "new.test")
	o := l.operator()
	if seen, err := o.Seen(asked.ID); err != nil || seen != asked.review() || o.WasShown(asked.ID) {
		t.Errorf("before it was shown: %q, %v", seen, err)
	}
	if err := o.Shown(asked.ID, asked.review()); err != nil {
		t.Fatal(err)
	}
	// The same id, another proposal, in order by itself.
	other, err := proposal.AskEgress("evil.test", nil, nil, "to read new.test")
	if err != nil {
		t.Fatal(err)
	}
	q, err := proposal.Create(t.TempDir(), proposal.Options{Slug: slug})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	p, _, err := q.Add(other)
	if err != nil {
		t.Fatal(err)
	}
	forged := l.read(l.queued(asked.ID, "proposal"))
	for _, change := range [][2]string{{string(asked.Rule), string(p.Rule)}, {asked.review(), p.Review}, {asked.Justification, p.Justification}} {
		forged = strings.ReplaceAll(forged, change[0], change[1])
	}
	l.write(l.queued(asked.ID, "proposal"), []byte(forged))
	if now, err := o.Review(t.Context(), asked.ID); err != nil || now.Host != "evil.test" {
		t.Fatalf("the forgery is not in order: %+v, %v", now.Host, err)
	}
	seen, err := o.Seen(asked.ID)
	if err != nil || seen != asked.review() || !o.WasShown(asked.ID) {
		t.Errorf("after it was shown: %q, %v", seen, err)
	}
	if _, err := o.Approve(t.Context(), asked.ID, seen, control.Terms{}); !errors.Is(err, control.ErrReview) {
		t.Errorf("another proposal than the one shown: %v", err)
	}
	l.wantHosts()
}
