package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/proposal"
)

// cursorLine is the number and the text of the selected line.
func (s *at) cursorLine() (int, string) {
	for i, text := range strings.Split(s.m.screen(), "\n") {
		if strings.HasPrefix(text, "> ") {
			return i, text
		}
	}
	return -1, ""
}

func TestTheCursorStaysWithItsProposal(t *testing.T) {
	desk := newDesk()
	desk.ask("m", "one.example", "")
	desk.ask("m", "two.example", "")
	desk.ask("m", "three.example", "")
	s := sit(t, desk, 80, 24)
	s.press("down")
	_, before := s.cursorLine()
	if !strings.Contains(before, "two.example") {
		t.Fatalf("the cursor is on %q", before)
	}
	for i := range 40 { // a bottle that stands before, and an older one of the same
		desk.ask("a", fmt.Sprintf("above%d.example", i), "")
	}
	desk.drop("m", "id0000")
	s.second()
	if _, after := s.cursorLine(); after != before {
		t.Errorf("the cursor went from %q to %q", before, after)
	}
	s.press("enter")
	s.sees("two.example")
	s.press("esc")
	if _, after := s.cursorLine(); after != before {
		t.Errorf("after a look the cursor is on %q", after)
	}

	desk.drop("m", "id0001") // gone: the next of its sort
	s.second()
	if _, after := s.cursorLine(); !strings.Contains(after, "three.example") {
		t.Errorf("the cursor is on %q", after)
	}
	desk.drop("m", "id0002")
	s.second()
	if _, after := s.cursorLine(); !strings.Contains(after, "above") {
		t.Errorf("the cursor is on %q", after)
	}
}

func TestTheLineUnderTheCursorDoesNotMove(t *testing.T) {
	desk := newDesk()
	for i := range 60 {
		desk.ask("m", fmt.Sprintf("m%d.example", i), "")
	}
	s := sit(t, desk, 80, 24)
	for range 30 {
		s.press("down")
	}
	line, text := s.cursorLine()
	for i := range 7 {
		desk.ask("m0", fmt.Sprintf("new%d.example", i), "") // behind
	}
	for i := range 10 {
		desk.drop("m", fmt.Sprintf("id%04d", i)) // before
	}
	s.second()
	if l, after := s.cursorLine(); l != line || after != text {
		t.Errorf("line %d %q became line %d %q", line, text, l, after)
	}
}

func TestAFloodHidesNobodyAndStaysQuick(t *testing.T) {
	desk := newDesk()
	desk.ask("zebra", "honest.example", "")
	b := Bottle{}
	for i := range 1000 {
		b.Waiting = append(b.Waiting, Item{
			ID: fmt.Sprintf("f%04d", i), Review: "r", Kind: "egress-block", Created: noon,
			Subject: strings.Repeat("flood", 800) + fmt.Sprint(i),
		})
	}
	desk.bottles["aaa"] = b
	s := sit(t, desk, 80, 24)
	s.sees("1001 waiting")
	if _, text := s.cursorLine(); !strings.Contains(text, "honest.example") {
		t.Errorf("the flood comes first: %q", text)
	}
	s.fits()
	for range 200 {
		s.press("down")
		s.second()
	}
	s.press("end")
	s.fits()
	if _, text := s.cursorLine(); !strings.Contains(text, "flood") {
		t.Errorf("the end is %q", text)
	}
	s.press("shift+tab")
	s.press("tab")
	s.sees("1001 waiting")
	s.tell(keyMsg("end"))
	if !strings.Contains(textFlood(1000), fmt.Sprint(1000)) || len(b.Waiting) <= proposal.MaxOpen {
		t.Error("no flood")
	}
}

func TestASlowBottleIsLookedAtLessOften(t *testing.T) {
	s := sit(t, world(), 80, 24)
	now := noon
	s.m.now = func() time.Time { return now }
	s.tell(lookMsg{slug: "dev-abc12", bottle: s.desk.bottles["dev-abc12"], took: 10 * time.Second})
	for _, c := range []struct {
		after  time.Duration
		slow   bool
		others bool
	}{{time.Second, false, true}, {38 * time.Second, false, true}, {2 * time.Second, true, true}} {
		now = now.Add(c.after)
		if slow, other := s.m.look("dev-abc12") != nil, s.m.look("idle-00000") != nil; slow != c.slow || other != c.others {
			t.Errorf("after %v: the slow one %v, another %v", c.after, slow, other)
		}
		clear(s.m.looking)
	}
}

func TestMovingInTheList(t *testing.T) {
	desk := world()
	s := sit(t, desk, 80, 24)
	for _, step := range []struct{ key, on string }{
		{"down", "xn--pple-43d.com"}, {"up", "api.example.com"}, {"up", "api.example.com"},
		{"tab", "docs.example.org"}, {"end", "example.net"}, {"down", "example.net"}, {"home", "api.example.com"},
		{"pgdown", "example.net"}, {"pgup", "api.example.com"}, {"j", "xn--pple"}, {"k", "api"}, {"G", "example.net"}, {"g", "api"},
	} {
		s.press(step.key)
		if _, text := s.cursorLine(); !strings.Contains(text, step.on) {
			t.Errorf("after %s the cursor is on %q, not %s", step.key, text, step.on)
		}
	}
}

func TestABottleThatCannotBeRead(t *testing.T) {
	desk := world()
	s := sit(t, desk, 80, 24)
	s.tell(lookMsg{slug: "idle-00000", err: fmt.Errorf("queue: \x1b[2Jis a link")})
	s.sees("cannot be read: queue: is a link", "api.example.com")
	s.second()
	s.seesNot("cannot be read")
	s.tell(slugsMsg{err: fmt.Errorf("no home")})
	s.sees("cannot be read: no home", "api.example.com")
}

func TestTable(t *testing.T) {
	desk := world()
	desk.ask("dev-abc12", "x.example", "")
	desk.change("dev-abc12", "id0002", func(d *Detail) { d.Subject = "x\x1b[2J\u202e\n\ty" })
	var out strings.Builder
	var bottles []Bottle
	for _, slug := range []string{"dev-abc12", "research-zzzzz"} {
		b, _ := desk.Look(t.Context(), slug)
		b.Slug = slug
		bottles = append(bottles, b)
	}
	if err := Table(&out, bottles, noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	want := `4 waiting, 2 grants, 2 bottles

WAITING FOR YOUR ANSWER
PROPOSAL  BOTTLE          AGE  KIND      WHAT
id0000    dev-abc12       3m   egress    api.example.com GET
id0001    dev-abc12       3m   pipelock  xn--pple-43d.com GET
id0002    dev-abc12       3m   egress    x y
id0000    research-zzzzz  3m   egress    docs.example.org GET

GRANTS IN FORCE
GRANT  BOTTLE          LEFT  HOST
g1     research-zzzzz  13m   pypi.org GET,HEAD
g2     research-zzzzz  1x    example.net POST under /v1

research-zzzzz: 1 file of its queue ignored: 00000000000000000x.proposal.json is larger than 65536 bytes
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
