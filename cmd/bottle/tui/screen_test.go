package tui

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
)

var update = flag.Bool("update", false, "write the golden screens anew")

// golden compares the screen, without colour, with the one in testdata.
func (s *at) golden(name string) {
	s.t.Helper()
	s.fits()
	path := filepath.Join("testdata", fmt.Sprintf("%s_%dx%d.txt", name, s.m.width, s.m.height))
	var out strings.Builder
	for text := range strings.Lines(s.m.screen()) {
		out.WriteString(strings.TrimRight(text, " \n") + "\n")
	}
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if out.String() != string(want) {
		s.t.Errorf("%s: the screen is\n%s\nand should be\n%s", path, out.String(), want)
	}
}

// fits fails when the screen is not exactly as large as the terminal, however
// the terminal measures characters, or holds anything but printable text.
func (s *at) fits() {
	s.t.Helper()
	lines := strings.Split(s.m.screen(), "\n")
	if len(lines) != s.m.height {
		s.t.Errorf("%d lines on a screen of %d", len(lines), s.m.height)
	}
	for _, text := range lines {
		for _, n := range []int{columns(text), ansi.StringWidth(text), ansi.StringWidthWc(text)} {
			if n > s.m.width {
				s.t.Errorf("%d columns on a screen of %d: %q", n, s.m.width, text)
			}
		}
		for _, r := range text {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
				s.t.Errorf("%U on the screen: %q", r, text)
			}
		}
	}
}

// world is bottles with all there is to show.
func world() *fakeDesk {
	desk := newDesk()
	desk.ask("dev-abc12", "api.example.com", "I need the issues of this repository to write the changelog. It is public; only GET is needed, and only for a while.")
	desk.ask("dev-abc12", "xn--pple-43d.com", "harmless")
	desk.change("dev-abc12", "id0001", func(d *Detail) {
		d.Kind = "pipelock-block"
		d.Replay = append(d.Replay, Refusal{Count: 1, Method: "POST", Host: d.Host, Path: "/upload", Rule: "no-route"})
	})
	desk.ask("research-zzzzz", "docs.example.org", "docs")
	b := desk.bottles["research-zzzzz"]
	b.Grants = []Grant{
		{ID: "g1", Host: "pypi.org", Subject: "pypi.org GET,HEAD", Expires: noon.Add(14*time.Minute + 30*time.Second)},
		{ID: "g2", Host: "example.net", Subject: "example.net POST under /v1", Uses: 1, Left: 1},
	}
	b.Problems = []string{"00000000000000000x.proposal.json is larger than 65536 bytes"}
	desk.bottles["research-zzzzz"] = b
	desk.bottles["idle-00000"] = Bottle{}
	return desk
}

func TestScreens(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {40, 12}} {
		open := func() *at { return sit(t, world(), size[0], size[1]) }
		s := open()
		s.golden("list")
		s.press("enter")
		s.golden("detail")
		s.press("pgdown")
		s.golden("detail_more")
		s.press("pgdown", "pgdown", "home", "f")
		s.golden("durations")
		s.press("2")
		s.golden("confirm")
		s.press("esc", "r")
		s.typed("use the mirror")
		s.golden("reason")

		s = open()
		s.press("down", "enter", "pgdown", "pgdown", "home")
		s.golden("lookalike")
		s.desk.fail = fmt.Errorf("egress did not put the new routes in force within 45 s: the last good ones are restored, and nothing was told to the agent")
		s.press("a", "pgdown", "Y")
		s.golden("failed")

		s = open()
		s.press("?")
		s.golden("help")

		s = sit(t, newDesk(), size[0], size[1])
		s.golden("empty")
	}
}

func TestSmallScreens(t *testing.T) {
	s := sit(t, world(), 80, 24)
	s.press("enter")
	for width := 1; width < 50; width += 3 {
		for height := 1; height < 14; height++ {
			s.tell(tea.WindowSizeMsg{Width: width, Height: height})
			s.draw()
			if width < minWidth || height < minHeight {
				if text := s.m.screen(); strings.Contains(text, "\n") || columns(text) > width {
					t.Errorf("%dx%d: %q", width, height, text)
				}
				s.press("a", "Y")
				continue
			}
			s.fits()
		}
	}
	s.applied()
	s.tell(tea.WindowSizeMsg{Width: 20, Height: 5})
	s.sees("too small: 20x5")
	s.tell(tea.WindowSizeMsg{Width: 80, Height: 24})
	s.draw()
	s.press("a", "Y")
	if len(s.desk.applied) != 1 {
		t.Error("nothing can be decided after the terminal grew again")
	}
}

func TestColours(t *testing.T) {
	s := sit(t, world(), 80, 24)
	if text := s.m.screen(); strings.Contains(text, "\x1b") {
		t.Errorf("escape codes without colour: %q", text)
	}
	s.m.colours = true
	if text := s.m.screen(); !strings.Contains(text, "\x1b[") || ansi.Strip(text) == text {
		t.Error("no colours where there should be")
	}
	plainText := func() string { s.m.colours = false; defer func() { s.m.colours = true }(); return s.m.screen() }
	if ansi.Strip(s.m.screen()) != plainText() {
		t.Error("colours change the text")
	}
	s.tell(tea.ColorProfileMsg{Profile: colorprofile.ASCII})
	if strings.Contains(s.m.screen(), "\x1b") {
		t.Error("escape codes on a terminal without colours")
	}
	for _, c := range []struct {
		environ []string
		want    bool
	}{
		{[]string{"TERM=xterm-256color"}, true},
		{[]string{"TERM=xterm-256color", "NO_COLOR="}, true},
		{[]string{"TERM=xterm-256color", "NO_COLOR=1"}, false},
		{[]string{"TERM=xterm-256color", "NO_COLOR=yes"}, false},
		{[]string{"TERM=dumb"}, false},
		{[]string{}, false},
	} {
		if got := wantsColours(c.environ); got != c.want {
			t.Errorf("%q: %v", c.environ, got)
		}
	}
}
