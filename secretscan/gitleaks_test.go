package secretscan

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/logging"
	"github.com/zricethezav/gitleaks/v8/regexp"
)

// reference is gitleaks' own detector with its default rules and the
// allowlists this package uses.
var reference = sync.OnceValues(func() (*detect.Detector, error) {
	logging.Logger = zerolog.Nop()
	d, err := detect.NewDetectorDefaultConfig()
	if err != nil {
		return nil, err
	}
	d.IgnoreGitleaksAllow = true
	if d.Config.Allowlists, err = contentOnly(d.Config.Allowlists); err != nil {
		return nil, err
	}
	for id, rule := range d.Config.Rules {
		if rule.Allowlists, err = contentOnly(rule.Allowlists); err != nil {
			return nil, err
		}
		d.Config.Rules[id] = rule
	}
	return d, nil
})

func contentOnly(lists []*config.Allowlist) ([]*config.Allowlist, error) {
	var kept []*config.Allowlist
	for _, list := range lists {
		if len(list.Regexes)+len(list.StopWords) == 0 || list.MatchCondition == config.AllowlistMatchAnd {
			continue
		}
		made := &config.Allowlist{RegexTarget: list.RegexTarget, StopWords: list.StopWords}
		for _, pattern := range list.Regexes {
			if pattern.String() == misread {
				pattern = regexp.MustCompile(meant)
			}
			made.Regexes = append(made.Regexes, pattern)
		}
		if err := made.Validate(); err != nil {
			return nil, err
		}
		kept = append(kept, made)
	}
	return kept, nil
}

// both returns what gitleaks and this package find in text, as "rule secret".
func both(t testing.TB, s *Scanner, text string) (theirs, ours map[string]bool) {
	t.Helper()
	d, err := reference()
	if err != nil {
		t.Fatal(err)
	}
	theirs, ours = make(map[string]bool), make(map[string]bool)
	for _, f := range d.DetectString(text) {
		theirs[f.RuleID+" "+f.Secret] = true
	}
	w := &sweep{scanner: s, report: func(h hit) bool {
		ours[h.rule+" "+h.secret] = true
		return true
	}}
	w.match([]byte(text), true, w.tell)
	return theirs, ours
}

func plain(t testing.TB) *Scanner {
	t.Helper()
	s, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEveryRuleFindsWhatGitleaksFinds gives both a text that each rule matches.
func TestEveryRuleFindsWhatGitleaksFinds(t *testing.T) {
	s := plain(t)
	random := rand.New(rand.NewPCG(1, 2))
	silent := 0
	for _, r := range s.rules.list {
		parsed, err := syntax.Parse(r.source, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for range 5 {
			var sample strings.Builder
			generate(&sample, parsed.Simplify(), random)
			text := "first line\n" + sample.String() + "\nlast line facebook sourcegraph\n"
			theirs, ours := both(t, s, text)
			found += len(theirs)
			for f := range theirs {
				if !ours[f] {
					t.Errorf("gitleaks finds %q in %q, we find %v", f, text, ours)
				}
			}
		}
		if found == 0 {
			silent++
			t.Logf("gitleaks itself finds nothing in samples of %s", r.id)
		}
	}
	if silent > len(s.rules.list)/10 {
		t.Errorf("%d of %d rules were not tried", silent, len(s.rules.list))
	}
}

// generate writes a random string that re matches, conditions aside.
func generate(out *strings.Builder, re *syntax.Regexp, random *rand.Rand) {
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			out.WriteRune(r)
		}
	case syntax.OpCharClass:
		var printable []rune
		for i := 0; i < len(re.Rune); i += 2 {
			for r := max(re.Rune[i], ' '); r <= min(re.Rune[i+1], '~'); r++ {
				printable = append(printable, r)
			}
		}
		if len(printable) == 0 {
			printable = re.Rune[:1]
		}
		out.WriteRune(printable[random.IntN(len(printable))])
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		out.WriteByte("abcXYZ019 "[random.IntN(10)])
	case syntax.OpStar, syntax.OpPlus:
		n := random.IntN(30)
		if re.Op == syntax.OpPlus {
			n++
		}
		for range n {
			generate(out, re.Sub[0], random)
		}
	case syntax.OpQuest:
		if random.IntN(2) == 0 {
			generate(out, re.Sub[0], random)
		}
	case syntax.OpAlternate:
		generate(out, re.Sub[random.IntN(len(re.Sub))], random)
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			generate(out, sub, random)
		}
	}
}

// TestSourceTextGivesGitleaksFindings compares on real source text and lists
// what this package finds beyond gitleaks.
func TestSourceTextGivesGitleaksFindings(t *testing.T) {
	s := plain(t)
	extras, common := 0, 0
	for _, text := range corpus(t, 400<<10) {
		theirs, ours := both(t, s, text)
		for f := range theirs {
			if !ours[f] {
				t.Errorf("gitleaks finds %q, we do not", f)
			}
			common++
		}
		var more []string
		for f := range ours {
			if !theirs[f] && !strings.HasPrefix(f, "generic-api-key ") {
				more = append(more, f)
			}
			if !theirs[f] {
				extras++
			}
		}
		slices.Sort(more)
		for _, f := range more {
			t.Logf("extra: %.80s", f)
		}
	}
	t.Logf("%d findings in common, %d extra", common, extras)
	if extras > 3+common/10 {
		t.Errorf("%d extra findings beside %d in common", extras, common)
	}
}

// corpus is source text of this machine's Go installation.
func corpus(t testing.TB, limit int) []string {
	t.Helper()
	var texts []string
	total := 0
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"net/http", "crypto", "encoding", "go", "cmd/go/internal", "html", "mime"} {
		root := filepath.Join(strings.TrimSpace(string(out)), "src", dir)
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || total > limit {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if len(text) < 300<<10 {
				texts, total = append(texts, string(text)), total+len(text)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if total < limit/2 {
		t.Fatal(fmt.Sprint("only ", total, " bytes of source text"))
	}
	return texts
}
