package tui

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// fakeDesk is bottles without a bundle. What is applied is written down.
type fakeDesk struct {
	mu      sync.Mutex
	bottles map[string]Bottle
	details map[key]Detail
	applied []Act
	revoked []string
	fail    error  // of Apply
	editor  string // the operator's; "" = one that ends well
	save    string // what the operator's editor leaves; "" = what it was given
	preview func(Act) (Preview, error)
}

func newDesk() *fakeDesk {
	return &fakeDesk{bottles: make(map[string]Bottle), details: make(map[key]Detail)}
}

// ask files a proposal for a host.
func (d *fakeDesk) ask(slug, host, words string) Detail {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.bottles[slug]
	n := len(b.Waiting)
	detail := Detail{
		Item: Item{
			ID: fmt.Sprintf("id%04d", n), Review: fmt.Sprintf("review-%s-%d", slug, n), Kind: "egress-block",
			Created: noon.Add(-2 * time.Minute), Subject: host + " GET",
		},
		Host: host, Rule: []string{"host: " + host, "methods: GET"},
		Diff:   []string{"@@ -1,1 +1,3 @@", " routes:", "+  - host: " + host, "+    methods: [GET]"},
		Replay: []Refusal{{Count: 2, Method: "GET", Host: host, Path: "/v1", Rule: "no-route", Named: true}},
		Words:  words, Editable: []byte("host: " + host + "\n"), Timed: true, Savable: true,
	}
	b.Waiting = append(slices.Clip(b.Waiting), detail.Item)
	d.bottles[slug] = b
	d.details[key{slug, detail.ID}] = detail
	return detail
}

// change replaces a proposal by another under the same id.
func (d *fakeDesk) change(slug, id string, f func(*Detail)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	detail := d.details[key{slug, id}]
	f(&detail)
	d.details[key{slug, id}] = detail
	b := d.bottles[slug]
	b.Waiting = slices.Clone(b.Waiting)
	for i := range b.Waiting {
		if b.Waiting[i].ID == id {
			b.Waiting[i] = detail.Item
		}
	}
	d.bottles[slug] = b
}

// drop takes a proposal out of the queue.
func (d *fakeDesk) drop(slug, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.bottles[slug]
	b.Waiting = slices.DeleteFunc(slices.Clone(b.Waiting), func(i Item) bool { return i.ID == id })
	d.bottles[slug] = b
}

func (d *fakeDesk) Slugs(context.Context) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var slugs []string
	for slug := range d.bottles {
		slugs = append(slugs, slug)
	}
	return slugs, nil
}

func (d *fakeDesk) Look(_ context.Context, slug string) (Bottle, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bottles[slug], nil
}

func (d *fakeDesk) Show(_ context.Context, slug, id string) (Detail, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	detail, ok := d.details[key{slug, id}]
	if !ok {
		return Detail{}, os.ErrNotExist
	}
	return detail, nil
}

func (d *fakeDesk) Preview(_ context.Context, a Act) (Preview, error) {
	if d.preview != nil {
		return d.preview(a)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	detail := d.details[key{a.Slug, a.ID}]
	p := Preview{Host: detail.Host, Rule: detail.Rule, Diff: detail.Diff}
	if a.Verdict == Modify {
		p.Rule = strings.Split(strings.TrimSpace(string(a.Rule)), "\n")
	}
	if a.Term.Save {
		p.SavePath, p.SaveDiff = "/home/me/.claude-bottle/bottles/dev.md", []string{"+    - host: " + detail.Host}
	}
	return p, nil
}

func (d *fakeDesk) Apply(_ context.Context, a Act) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return "", d.fail
	}
	if a.Review != d.details[key{a.Slug, a.ID}].Review {
		return "", ErrChanged
	}
	d.applied = append(d.applied, a)
	return "in force: " + d.details[key{a.Slug, a.ID}].Host, nil
}

func (d *fakeDesk) Revoke(_ context.Context, slug, grant string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.revoked = append(d.revoked, slug+" "+grant)
	return "revoked", nil
}

func (d *fakeDesk) Edit(text []byte) (Editing, error) {
	dir, err := os.MkdirTemp("", "tui-edit-")
	if err != nil {
		return Editing{}, err
	}
	file := filepath.Join(dir, "rule")
	if d.save != "" {
		text = []byte(d.save)
	}
	return Editing{
		Command: exec.Command(cmp.Or(d.editor, "true")),
		Read:    func() ([]byte, error) { return os.ReadFile(file) },
		Done:    func() error { return os.RemoveAll(dir) },
	}, os.WriteFile(file, text, 0o600)
}

// at is an operator at the view: real messages go in, screens come out. Time
// passes only when it is told to.
type at struct {
	t    *testing.T
	m    *model
	desk *fakeDesk
	// timers are what the model wants to be told later.
	timers []tea.Msg
}

func sit(t *testing.T, desk *fakeDesk, width, height int) *at {
	t.Helper()
	s := &at{t: t, desk: desk}
	s.m = newModel(t.Context(), desk, func() time.Time { return noon }, false)
	s.m.after = func(_ time.Duration, msg tea.Msg) tea.Cmd {
		return func() tea.Msg { s.timers = append(s.timers, msg); return nil }
	}
	s.m.gate.after = s.m.after
	s.m.exec = func(c *exec.Cmd, done tea.ExecCallback) tea.Cmd {
		return func() tea.Msg { return done(c.Run()) }
	}
	s.do(s.m.Init())
	s.tell(tea.WindowSizeMsg{Width: width, Height: height})
	return s
}

// do runs commands to their end.
func (s *at) do(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	msg := cmd()
	switch v := reflect.ValueOf(msg); {
	case msg == nil:
	case v.Kind() == reflect.Slice && v.Type() == reflect.TypeFor[tea.BatchMsg]():
		for _, c := range msg.(tea.BatchMsg) {
			s.do(c)
		}
	default:
		s.tell(msg)
	}
}

func (s *at) tell(msg tea.Msg) {
	_, cmd := s.m.Update(msg)
	s.do(cmd)
}

// second passes: the view looks again.
func (s *at) second() { s.tell(tickMsg{}) }

// draw lets the terminal catch up with what was written to it.
func (s *at) draw() {
	for len(s.timers) > 0 {
		timers := s.timers
		s.timers = nil
		for _, msg := range timers {
			if drawn, ok := msg.(drawnMsg); ok {
				s.tell(drawn)
				s.tell(tea.CursorPositionMsg{X: 1, Y: 1})
			}
		}
	}
}

var named = map[string]rune{
	"enter": tea.KeyEnter, "esc": tea.KeyEscape, "up": tea.KeyUp, "down": tea.KeyDown, "tab": tea.KeyTab,
	"pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp, "end": tea.KeyEnd, "home": tea.KeyHome, "backspace": tea.KeyBackspace,
}

func keyMsg(name string) tea.KeyPressMsg {
	if code, ok := named[name]; ok {
		return tea.KeyPressMsg{Code: code}
	}
	r := []rune(name)[0]
	return tea.KeyPressMsg{Code: r, Text: name}
}

// hurry presses keys before the terminal drew anything.
func (s *at) hurry(names ...string) {
	for _, name := range names {
		s.tell(keyMsg(name))
	}
}

// press presses keys as a person does who looks at the screen.
func (s *at) press(names ...string) {
	for _, name := range names {
		s.hurry(name)
		s.draw()
	}
}

func (s *at) typed(text string) {
	for _, r := range text {
		s.press(string(r))
	}
}

func (s *at) sees(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if !strings.Contains(s.m.screen(), text) {
			s.t.Errorf("%q is not on the screen:\n%s", text, s.m.screen())
		}
	}
}

func (s *at) seesNot(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if strings.Contains(s.m.screen(), text) {
			s.t.Errorf("%q is on the screen:\n%s", text, s.m.screen())
		}
	}
}

// applied fails unless exactly these acts were applied.
func (s *at) applied(want ...Act) {
	s.t.Helper()
	if got := s.desk.applied; len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
		s.t.Errorf("applied %+v, want %+v\n%s", got, want, s.m.screen())
	}
}
