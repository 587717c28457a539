package secretscan

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strings"
	"sync"

	ahocorasick "github.com/BobuSumisu/aho-corasick"
)

// allowSource is an allowlist as gitleaks' configuration has it.
type allowSource struct {
	Condition   string
	Paths       []string
	Commits     []string
	RegexTarget string `toml:"regexTarget"`
	Regexes     []string
	StopWords   []string `toml:"stopwords"`
}

// alone tells whether one fitting expression is enough.
func (a *allowSource) alone() bool {
	return !strings.EqualFold(a.Condition, "AND") && (a.RegexTarget == "" || a.RegexTarget == "secret")
}

// allowlist says what is no secret although a rule matches. Any of its parts
// is enough.
type allowlist struct {
	target  string // what pattern is for: "", "match" or "line"
	pattern func() *regexp.Regexp
	stop    func() *ahocorasick.Trie
}

// misread is an expression of gitleaks' global allowlist that allows every
// secret with "false" in it; what it means stands beside it.
const misread, meant = `(?i)^true|false|null$`, `(?i)^(?:true|false|null)$`

// newAllowlists takes the conditions on content. A list that allows by path
// alone is left out, and so is one that also asks for a path: without that
// condition it would allow more.
func newAllowlists(global bool, from []*allowSource) ([]*allowlist, error) {
	var lists []*allowlist
	for _, a := range from {
		if a == nil || len(a.Regexes)+len(a.StopWords) == 0 {
			continue
		}
		if strings.EqualFold(a.Condition, "AND") {
			continue
		}
		made := &allowlist{target: a.RegexTarget}
		var patterns []string
		for _, pattern := range a.Regexes {
			if global && pattern == misread {
				pattern = meant
			}
			if _, err := regexp.Compile(pattern); err != nil {
				return nil, fmt.Errorf("secretscan: gitleaks' allowlist: %w", err)
			}
			patterns = append(patterns, "(?:"+pattern+")")
		}
		if len(patterns) > 0 {
			made.pattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(strings.Join(patterns, "|")) })
		}
		if len(a.StopWords) > 0 {
			made.stop = sync.OnceValue(func() *ahocorasick.Trie {
				builder := ahocorasick.NewTrieBuilder()
				for _, word := range a.StopWords {
					builder.AddString(strings.ToLower(word))
				}
				return builder.Build()
			})
		}
		lists = append(lists, made)
	}
	return lists, nil
}

// longStopWord is the length of a stop word that does not stand by chance in
// what was drawn.
const longStopWord = 6

// allows tells whether a match is no secret. line is computed when needed;
// loosely passes over short
// stop words.
func (a *allowlist) allows(secret, match string, line func() string, loosely bool) bool {
	if a.pattern != nil {
		target := secret
		switch a.target {
		case "match":
			target = match
		case "line":
			target = line()
		}
		if a.pattern().MatchString(target) {
			return true
		}
	}
	if a.stop == nil {
		return false
	}
	for _, word := range a.stop().MatchString(strings.ToLower(secret)) {
		if !loosely || len(word.Match()) >= longStopWord {
			return true
		}
	}
	return false
}

// maxLine is how far around a match the line it stands in is looked at.
const maxLine = 4 << 10

// lineAround is the line that text[begin:end] stands in.
func lineAround(text []byte, begin, end int) string {
	from := max(0, begin-maxLine)
	if i := bytes.LastIndexByte(text[from:begin], '\n'); i >= 0 {
		from += i + 1
	}
	to := min(len(text), end+maxLine)
	if i := bytes.IndexByte(text[end:to], '\n'); i >= 0 {
		to = end + i
	}
	return string(text[from:to])
}

// entropy is Shannon's, in bits a character.
func entropy(text string) float64 {
	var counts [256]int
	for i := range len(text) {
		counts[text[i]]++
	}
	bits := 0.0
	for _, n := range counts {
		if n > 0 {
			share := float64(n) / float64(len(text))
			bits -= share * math.Log2(share)
		}
	}
	return bits
}
