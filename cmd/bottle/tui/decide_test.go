package tui

import (
	"errors"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
)

func one(t *testing.T) (*at, Detail) {
	t.Helper()
	desk := newDesk()
	d := desk.ask("dev-abc12", "api.example.com", "I need the manual")
	return sit(t, desk, 80, 24), d
}

func TestEveryAnswer(t *testing.T) {
	base := Act{Slug: "dev-abc12", ID: "id0000", Review: "review-dev-abc12-0", Verdict: Approve}
	with := func(change func(*Act)) Act { a := base; change(&a); return a }
	for name, c := range map[string]struct {
		keys []string
		text string
		last []string
		sees string
		want Act
	}{
		"approve":  {keys: []string{"a"}, sees: "APPROVE, until the bottle ends", want: base},
		"once":     {keys: []string{"f", "1"}, sees: "APPROVE, for one request", want: with(func(a *Act) { a.Term.Once = true })},
		"15m":      {keys: []string{"f", "2"}, sees: "APPROVE, for 15 minutes", want: with(func(a *Act) { a.Term.For = 15 * time.Minute })},
		"1h":       {keys: []string{"f", "3"}, sees: "APPROVE, for 1 hour", want: with(func(a *Act) { a.Term.For = time.Hour })},
		"custom":   {keys: []string{"f", "4"}, text: "1h30m", last: []string{"enter"}, sees: "APPROVE, for 1 hour 30 minutes", want: with(func(a *Act) { a.Term.For = 90 * time.Minute })},
		"session":  {keys: []string{"f", "5"}, sees: "APPROVE, until the bottle ends", want: base},
		"save":     {keys: []string{"f", "6"}, sees: "/bottles/dev.md", want: with(func(a *Act) { a.Term.Save = true })},
		"modify":   {keys: []string{"m"}, sees: "APPROVE AS MODIFIED, until", want: with(func(a *Act) { a.Verdict, a.Rule = Modify, []byte("host: other.example.com\n") })},
		"modify 1": {keys: []string{"m", "f", "1"}, sees: "APPROVE AS MODIFIED, for one", want: with(func(a *Act) { a.Verdict, a.Rule, a.Term.Once = Modify, []byte("host: other.example.com\n"), true })},
		"reject":   {keys: []string{"r"}, text: "not that one", last: []string{"enter"}, sees: "REJECT, with this reason", want: with(func(a *Act) { a.Verdict, a.Reason = Reject, "not that one" })},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := one(t)
			s.desk.save = "host: other.example.com\n"
			s.press("enter")
			s.press(c.keys...)
			s.typed(c.text)
			s.press(c.last...)
			s.sees(c.sees, "dev-abc12", "api.example.com", "(capital)")
			s.applied()
			s.press("Y")
			s.applied(c.want)
			s.sees("in force: api.example.com", textWaiting)
		})
	}
}

func TestNothingIsDecidedWithoutYes(t *testing.T) {
	for _, no := range []string{"y", "esc", "n", "q", "a", "enter", " ", "f", "x"} {
		s, _ := one(t)
		s.press("enter", "a", no)
		s.applied()
	}
}

func TestKeysTypedAheadDecideNothing(t *testing.T) {
	s, want := one(t)
	s.hurry("enter", "a")
	s.sees(textTooSoon)
	s.hurry("Y", "a", "Y")
	s.draw()
	s.hurry("a", "Y")
	s.sees("APPROVE", textTooSoon)
	s.draw()
	s.press("esc") // the first look at the question does not count for the next
	s.hurry("a", "Y")
	s.applied()
	s.draw()
	s.press("Y")
	s.applied(Act{Slug: "dev-abc12", ID: want.ID, Review: want.Review, Verdict: Approve})
}

func TestATerminalThatDoesNotAnswer(t *testing.T) {
	s, _ := one(t)
	s.hurry("enter")
	for range 4 { // frames, then the time for an answer
		timers := s.timers
		s.timers = nil
		s.hurry("a")
		s.applied()
		for _, msg := range timers {
			s.tell(msg)
		}
	}
	s.hurry("a")
	s.sees("APPROVE, until the bottle ends")
}

func TestAPasteDecidesNothing(t *testing.T) {
	s, _ := one(t)
	s.press("enter")
	s.tell(tea.PasteMsg{Content: "aY\raY"})
	s.draw()
	s.press("a")
	s.tell(tea.PasteMsg{Content: "Y"})
	s.applied()
	s.press("esc", "r")
	s.tell(tea.PasteMsg{Content: "two\nlines\x1b[2J"})
	s.sees("reason: two lines_")
}

func TestAProposalThatChangesUnderTheEyes(t *testing.T) {
	evil := func(d *Detail) {
		d.Review, d.Host, d.Rule = "review-new", "evil.example", []string{"host: evil.example"}
	}
	t.Run("while it is read", func(t *testing.T) {
		s, _ := one(t)
		s.press("enter")
		s.desk.change("dev-abc12", "id0000", evil)
		s.second()
		s.sees(textChanged, "evil.example")
		s.hurry("a", "Y")
		s.applied()
	})
	t.Run("while it is confirmed", func(t *testing.T) {
		s, _ := one(t)
		s.press("enter", "a")
		s.desk.change("dev-abc12", "id0000", evil)
		s.second()
		s.sees(textChanged, "evil.example")
		s.seesNot("(capital)")
		s.hurry("Y")
		s.applied()
	})
	t.Run("before the view looked again", func(t *testing.T) {
		s, _ := one(t)
		s.press("enter", "a")
		s.desk.change("dev-abc12", "id0000", evil)
		s.press("Y")
		s.applied()
		s.sees("NOT DONE", "evil.example")
		s.press("a", "Y") // the new one, looked at
		s.applied(Act{Slug: "dev-abc12", ID: "id0000", Review: "review-new", Verdict: Approve})
	})
	t.Run("answered elsewhere", func(t *testing.T) {
		s, _ := one(t)
		s.press("enter", "a")
		s.desk.drop("dev-abc12", "id0000")
		s.second()
		s.sees(textGone)
		s.press("a", "Y", "r")
		s.applied()
	})
}

func TestAllThatWouldChangeMustHaveBeenShown(t *testing.T) {
	s, _ := one(t)
	s.desk.change("dev-abc12", "id0000", func(d *Detail) {
		for range 60 {
			d.Rule = append(d.Rule, "path: /harmless")
		}
		d.Rule = append(d.Rule, "path: /everything")
	})
	s.second()
	s.press("enter", "a")
	s.sees(textScroll)
	s.press("end", "a") // jumping over it is not seeing it
	s.sees(textScroll)
	s.press("home", "pgdown", "pgdown", "pgdown", "pgdown", "a")
	s.sees("APPROVE")
	s.press("Y")
	s.applied()
	s.press("pgdown", "pgdown", "pgdown", "pgdown", "pgdown", "Y")
	if len(s.desk.applied) != 1 {
		t.Errorf("all was shown and it could not be approved:\n%s", s.m.screen())
	}
}

func TestARuleThatCannotBeShown(t *testing.T) {
	s, _ := one(t)
	s.desk.change("dev-abc12", "id0000", func(d *Detail) { d.Rule = append(d.Rule, "path: /a\u202eb") })
	s.second()
	s.press("enter", "a", "m", "f")
	s.applied()
	s.sees(textInexact[:60])
	s.press("r")
	s.typed("no")
	s.press("enter", "Y")
	if len(s.desk.applied) != 1 || s.desk.applied[0].Verdict != Reject {
		t.Errorf("could not be rejected: %+v", s.desk.applied)
	}
}

func TestWhatIsRefused(t *testing.T) {
	s, _ := one(t)
	s.desk.fail = errors.New("egress did not take the new routes: port in use")
	s.press("enter", "a", "Y")
	s.sees("NOT DONE: egress did not take the new routes: port in use")
	s.applied()

	s, _ = one(t)
	s.desk.preview = func(a Act) (Preview, error) {
		if string(a.Rule) == "nonsense" {
			return Preview{}, errors.New("rule: line 1: no host")
		}
		return Preview{Host: "b.example", Rule: []string{"host: b.example"}}, nil
	}
	s.desk.save = "nonsense"
	s.press("enter", "m")
	s.press("x")
	s.sees("NOT DONE: rule: line 1: no host", "e edit again")
	s.desk.save = "host: b.example"
	s.press("e")
	s.sees("APPROVE AS MODIFIED", "host: b.example")
	s.press("esc")

	s.desk.editor = "false"
	s.press("m")
	s.sees("NOT DONE: your editor: exit status 1")
	s.desk.editor, s.desk.save = "", ""
	s.press("m")
	s.sees(textUnchanged)
	s.press("f", "4")
	for _, bad := range []string{"", "soon", "0", "-5m", "9000h", "1"} {
		s.press("backspace", "backspace", "backspace", "backspace", "backspace")
		s.typed(bad)
		s.press("enter")
		s.sees(textBadDuration)
	}
	s.press("esc", "r", "enter")
	s.sees(textNoReason)
	s.press("esc")
	s.desk.change("dev-abc12", "id0000", func(d *Detail) { d.Editable, d.Timed, d.Review = nil, false, "again" })
	s.second()
	s.draw()
	s.seesNot(keyModify, keyFor)
	s.press("m")
	s.sees(textFixed)
	s.press("f")
	s.sees(textUntimed)
	s.applied()
}

func TestRevoke(t *testing.T) {
	s, _ := one(t)
	s.desk.mu.Lock()
	b := s.desk.bottles["dev-abc12"]
	b.Grants = []Grant{{ID: "g1", Host: "docs.example.com", Subject: "docs.example.com GET", Expires: noon.Add(14 * time.Minute)}, {ID: "g2", Host: "x.example", Subject: "x.example", Uses: 1, Left: 1}}
	s.desk.bottles["dev-abc12"] = b
	s.desk.mu.Unlock()
	s.second()
	s.sees(textGrants, "14m", "1x")
	s.press("v") // the cursor is on a proposal
	s.press("down", "v")
	s.sees("REVOKE the grant of docs.example.com in dev-abc12")
	if s.press("esc"); len(s.desk.revoked) != 0 {
		t.Error("revoked without yes")
	}
	s.press("v")
	s.press("Y")
	if len(s.desk.revoked) != 1 || s.desk.revoked[0] != "dev-abc12 g1" {
		t.Errorf("revoked %v\n%s", s.desk.revoked, s.m.screen())
	}
}

func TestQuitWaitsForAChange(t *testing.T) {
	s, _ := one(t)
	s.press("enter", "a")
	_, cmd := s.m.Update(keyMsg("Y"))
	for _, msg := range []tea.Msg{tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}, tea.QuitMsg{}, tea.InterruptMsg{}} {
		if msg = finishFirst(s.m, msg); msg != nil {
			s.tell(msg)
		}
	}
	s.sees(textBusy)
	var quit bool
	_, next := s.m.Update(cmd())
	if next != nil {
		_, quit = next().(tea.QuitMsg)
	}
	if !quit {
		t.Error("did not quit when the change was in force")
	}
	if finishFirst(s.m, tea.QuitMsg{}) == nil {
		t.Error("cannot quit when nothing is under way")
	}
}
