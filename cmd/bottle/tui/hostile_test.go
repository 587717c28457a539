package tui

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
)

// lies are words by which an agent could try to look like somebody else.
var lies = map[string]string{
	"terminal sequences": "\x1b[2J\x1b[H\x1b]0;approved\a\x1b]52;c;aGk=\a\x1b[31mred\x9b2J\x90q\x9c",
	"controls":           "a\rb\bc\x00d\x7fe\x85f\vg",
	"lines":              "one\nTHE RULE, AS IT WOULD BE APPROVED\n  host: harmless.example\n\n\n\n",
	"bidi":               "\u202egnihton\u202c \u2066x\u2069 \u061c\u200f",
	"zero width":         "pay\u200bpal\u2060\ufeff\u00ad\u034f",
	"combining marks":    strings.Repeat("a"+strings.Repeat("\u0317\u0301\u20dd", 40), 30),
	"wide":               strings.Repeat("東京", 200),
	"ambiguous":          strings.Repeat("±§¨─│█○", 60),
	"emoji":              strings.Repeat("👩\u200d👩\u200d👧🏽🇨🇭❤\ufe0f", 60),
	"fillers":            strings.Repeat("\u3164\u2800\u115f", 300),
	"one long word":      strings.Repeat("x", 5000),
	"a megabyte":         strings.Repeat("word ", 200_000),
	"not UTF-8":          "\xff\xfe\xc0\x80",
	"Indic and Thai":     strings.Repeat("क्षि ที่ ", 100),
	"private use":        "\ue000\U0010fffd\U000E0041",
	"frame":              strings.Repeat("-", 80) + " Y (capital) do exactly this",
}

func TestLies(t *testing.T) {
	for name, lie := range lies {
		for _, size := range [][2]int{{80, 24}, {36, 12}} {
			t.Run(fmt.Sprintf("%s %dx%d", name, size[0], size[1]), func(t *testing.T) {
				desk := newDesk()
				desk.ask("dev", "api.example.com", lie)
				desk.change("dev", "id0000", func(d *Detail) {
					d.Subject = lie
					d.Replay = []Refusal{{Count: 1, Method: "GET", Host: "api.example.com", Path: lie, Rule: "path"}}
				})
				b := desk.bottles["dev"]
				b.Problems = []string{lie}
				b.Grants = []Grant{{ID: lie, Host: lie, Subject: lie}}
				desk.bottles["dev"] = b
				desk.fail = fmt.Errorf("refused: %s", lie)
				s := sit(t, desk, size[0], size[1])
				s.honest()
				s.press("enter")
				s.toTheEnd()
				s.press("home", "a")
				s.honest()
				s.toTheEnd()
				s.press("Y")
				s.sees("NOT DONE")
				s.honest()
				s.press("esc", "esc", "end", "v")
				s.honest()
				s.applied()
			})
		}
	}
}

// toTheEnd reads all of the pane.
func (s *at) toTheEnd() {
	s.t.Helper()
	for s.honest(); s.m.pane.offset+s.m.pane.height < len(s.m.pane.lines); s.honest() {
		s.press("pgdown")
	}
}

// honest fails when the screen shows what it must not.
func (s *at) honest() {
	s.t.Helper()
	s.fits()
	for _, text := range strings.Split(s.m.screen(), "\n") {
		for _, r := range text {
			if !unicode.IsPrint(r) || unicode.In(r, unicode.Bidi_Control, unicode.Other_Default_Ignorable_Code_Point) {
				s.t.Errorf("%U on the screen: %q", r, text)
			}
		}
	}
	if n := strings.Count(s.m.screen(), "\n"+textRule); n > 1 {
		s.t.Errorf("the words imitate a rule:\n%s", s.m.screen())
	}
}

func TestTheAgentsWordsAreMarked(t *testing.T) {
	desk := newDesk()
	desk.ask("dev", "evil.example", "please\n"+textRule+"\n  host: harmless.example\n"+strings.Repeat("and more ", 40))
	s := sit(t, desk, 80, 24)
	s.press("enter")
	marked := 0
	for text := range strings.Lines(s.m.screen()) {
		if strings.Contains(text, "harmless") || strings.Contains(text, "and more") {
			if marked++; !strings.HasPrefix(text, "| ") {
				t.Errorf("without a mark: %q", text)
			}
		}
	}
	if marked < 3 {
		t.Errorf("%d lines of the agent's words:\n%s", marked, s.m.screen())
	}
	s.sees(textWords)
}

func TestHostsThatLookLikeOthers(t *testing.T) {
	for ascii, sees := range map[string][]string{
		"xn--pple-43d.com":                    {"xn--pple-43d.com", "written  аpple.com", "Cyrillic and Latin"},
		"xn--80ak6aa92e.com":                  {"xn--80ak6aa92e.com", "written  аррӏе.com", "Cyrillic and Latin"},
		"xn--mnchen-3ya.example":              {"written  münchen.example", "Latin"},
		"xn--n3h.example":                     {"xn--n3h.example"},
		"xn--" + strings.Repeat("a", 2):       {"xn--aa"},
		strings.Repeat("a.", 100) + "example": {"a.a.a.a."},
	} {
		for _, size := range [][2]int{{80, 24}, {40, 12}} {
			desk := newDesk()
			desk.ask("dev", ascii, "")
			s := sit(t, desk, size[0], size[1])
			s.press("enter")
			if size[0] == 80 {
				s.sees(sees...)
			}
			s.honest()
		}
	}
	desk := newDesk()
	desk.ask("dev", "api.example.com", "")
	s := sit(t, desk, 80, 24)
	s.press("enter")
	s.seesNot("written", "NOT ASCII")
}
