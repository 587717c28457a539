package secretscan

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
	"github.com/zricethezav/gitleaks/v8/config"
)

// rules are gitleaks' rules, made ready for streams. They never change.
type rules struct {
	list   []*rule
	words  *words
	uses   [][]wordUse // by word
	global []*allowlist
}

// wordUse says for a rule that a match may begin where a word does.
type wordUse struct {
	rule int
	// anywhere: the word only makes it worth to look everywhere.
	anywhere bool
}

// rule is one rule of gitleaks.
type rule struct {
	id          string
	source      string
	entropy     float64
	secretGroup int
	allow       []*allowlist
	// lettersAllowed: a secret of letters, dots, dashes and underscores alone
	// is on the rule's allowlist.
	lettersAllowed bool
	// leads: matches may begin with up to 50 characters of a name before the
	// word.
	leads bool

	// strict: all matches are judged as those of the loose form; drawn: and must
	// look random, as those of rules with a name must.
	strict, drawn bool
	// alnumHead: matches begin with letters and digits alone, which stand in
	// longer words and encoded text by chance.
	alnumHead bool
	// fixed: all matches of the loose form have one length.
	fixed bool

	machine  func() *automaton
	compiled func() *regexp.Regexp
	// loose is the looser form, nil if there is none; machine is for it then.
	loose func() *regexp.Regexp
}

// source is the part of gitleaks' configuration that is used.
type source struct {
	Allowlist  *allowSource
	Allowlists []*allowSource
	Rules      []ruleSource
}

// ruleSource is a rule as gitleaks' configuration has it.
type ruleSource struct {
	ID          string
	Regex       string
	Path        string
	Entropy     float64
	SecretGroup int `toml:"secretGroup"`
	Keywords    []string
	SkipReport  bool `toml:"skipReport"`
	Allowlist   *allowSource
	Allowlists  []*allowSource

	drawn bool // of ownRules: the secret must look random
}

// lettersOnly is an allowlist expression that automaton can stand in for.
const lettersOnly = `^[a-zA-Z_.-]+$`

// defaultRules loads the rules once for all scanners.
var defaultRules = sync.OnceValues(loadRules)

// anyPath are rules for certain files that say enough without the path. The
// others (Terraform passwords, Kubernetes secrets, PKCS #12 by name alone) would
// match ordinary text and are left out.
var anyPath = []string{"freemius-secret-key", "nuget-config-password"}

// loadRules reads gitleaks' default configuration without its exemptions by
// path.
func loadRules() (*rules, error) {
	var from source
	if err := toml.Unmarshal([]byte(config.DefaultConfig), &from); err != nil {
		return nil, fmt.Errorf("secretscan: gitleaks' configuration: %w", err)
	}
	rs := &rules{}
	var err error
	if rs.global, err = newAllowlists(true, append(from.Allowlists, from.Allowlist)); err != nil {
		return nil, err
	}
	sources := slices.DeleteFunc(from.Rules, func(r ruleSource) bool {
		return r.Regex == "" || r.Path != "" && !slices.Contains(anyPath, r.ID) || r.SkipReport
	})
	own := len(sources)
	sources = append(sources, ownRules...)
	made, begins := make([]*rule, len(sources)), make([]beginnings, len(sources))
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < len(sources) && errs[worker] == nil; i += workers {
				made[i], begins[i], errs[worker] = newRule(&sources[i], i >= own)
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	rs.list = made
	var list []string
	numbers := make(map[string]int)
	for i, b := range begins {
		for _, word := range b.words {
			n, ok := numbers[word]
			if !ok {
				n = len(list)
				numbers[word] = n
				list = append(list, word)
				rs.uses = append(rs.uses, nil)
			}
			rs.uses[n] = append(rs.uses[n], wordUse{rule: i, anywhere: b.anywhere})
		}
	}
	rs.words = newWords(list)
	return rs, nil
}

// beginnings are the words that a match of a rule begins with, or, anywhere,
// that only make it worth to look for one everywhere.
type beginnings struct {
	words    []string
	anywhere bool
}

// newRule makes a rule of its source; own says that it is one of ownRules.
func newRule(r *ruleSource, own bool) (*rule, beginnings, error) {
	var err error
	made := &rule{id: r.ID, source: r.Regex, entropy: r.Entropy, secretGroup: r.SecretGroup}
	if made.allow, err = newAllowlists(false, append(r.Allowlists, r.Allowlist)); err != nil {
		return nil, beginnings{}, err
	}
	if r.ID == nonceRule {
		made.allow = append(made.allow, nonceList())
	}
	for _, allow := range slices.Concat(r.Allowlists, []*allowSource{r.Allowlist}) {
		made.lettersAllowed = made.lettersAllowed || allow != nil && allow.alone() && slices.Contains(allow.Regexes, lettersOnly)
	}
	made.strict, made.drawn = own, r.drawn
	made.leads = strings.Contains(r.Regex, leadingName)
	parsed, err := syntax.Parse(r.Regex, syntax.Perl)
	if err != nil {
		return nil, beginnings{}, fmt.Errorf("secretscan: gitleaks' rule %s: %w", r.ID, err)
	}
	expression := func() string { return r.Regex }
	loose, both := loosen(parsed, made.leads)
	begins := beginnings{words: heads(withoutLead(parsed))}
	if own {
		made.alnumHead, made.fixed = alnumPrefix(parsed), !varies(parsed)
	} else if loose != nil && (begins.words != nil || made.leads) {
		expression = both.String
		made.loose = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(loose.String()) })
		made.alnumHead, made.fixed, made.drawn = !made.leads && alnumPrefix(loose), !varies(loose), made.leads
	}
	made.machine = sync.OnceValue(func() *automaton { return mustAutomaton(expression()) })
	made.compiled = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(r.Regex) })
	if begins.words == nil {
		begins = beginnings{longEnough(r.Keywords), true}
	}
	for i, word := range begins.words {
		begins.words[i] = strings.ToLower(word)
	}
	slices.Sort(begins.words)
	begins.words = slices.Compact(begins.words)
	return made, begins, nil
}

// longEnough extends short keywords by every character that can follow.
func longEnough(keywords []string) []string {
	var list []string
	for _, word := range keywords {
		word = strings.ToLower(word)
		if len(word) >= minWord {
			list = append(list, word)
			continue
		}
		for c := byte(' '); c <= '~'; c++ {
			if c < 'A' || c > 'Z' {
				list = append(list, word+string(rune(c)))
			}
		}
	}
	return list
}

// mustAutomaton is for expressions that were parsed before.
func mustAutomaton(expression string) *automaton {
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err == nil {
		var a *automaton
		if a, err = newAutomaton(withoutLead(parsed).Simplify()); err == nil {
			return a
		}
	}
	panic(err)
}
