package secretscan

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxMatch is how far a match may reach, and so how much may be held back.
	maxMatch = 64 << 10
	// settleAfter: a match is looked at when none ended for so many bytes.
	settleAfter = 256
	// maxLead is how long a name before a rule's word may be.
	maxLead = 50
	// checks bounds the bytes that expressions are run over, per byte of text
	// and on top. A text that needs more is made to exhaust the scanner and
	// counts as a finding.
	checks, checksMore = 16, 256 << 10
)

// spots are where matches of one rule may begin.
type spots struct {
	at       []int
	anywhere bool
}

// match looks for gitleaks' rules in text and returns the position from which
// on more text could make or prolong a match.
func (w *sweep) match(text []byte, final bool, tell func(hit) bool) (hold int) {
	rs := w.scanner.rules
	if rs == nil {
		return len(text)
	}
	if w.spots == nil {
		w.spots = make([]spots, len(rs.list))
	}
	w.used = w.used[:0]
	rs.words.find(text, func(begin, number int) {
		for _, use := range rs.uses[number] {
			s := &w.spots[use.rule]
			if len(s.at) == 0 && !s.anywhere {
				w.used = append(w.used, use.rule)
			}
			if use.anywhere {
				s.anywhere = true
			} else {
				s.at = append(s.at, begin)
			}
		}
	})
	hold = len(text)
	if !final {
		hold = rs.words.tail(text)
	}
	for _, number := range w.used {
		s := &w.spots[number]
		if !w.over {
			slices.Sort(s.at)
			m := matcher{rule: rs.list[number], rules: rs, text: text, final: final, tell: tell, budget: checks*len(text) + checksMore}
			hold = min(hold, m.walk(s, final))
		}
		s.at, s.anywhere = s.at[:0], false
	}
	return hold
}

// matcher follows one rule through one text.
type matcher struct {
	rule   *rule
	rules  *rules
	text   []byte
	tell   func(hit) bool
	budget int
	final  bool // nothing follows text
	over   bool

	begin int // of the earliest match that is under way
	ends  []int
	done  [2]int // by form: matches that end before are dealt with
	hits  []hit  // of gitleaks' own form, lately
}

// walk runs the rule's automaton from every spot on as far as a match can
// reach, all of them at once.
func (m *matcher) walk(s *spots, final bool) (hold int) {
	a := m.rule.machine()
	a.mu.Lock()
	defer a.mu.Unlock()
	spots := s.at
	state, at, text := dead, 0, m.text
	for !m.over {
		if state == dead {
			m.settle()
			switch {
			case s.anywhere:
			case len(spots) == 0:
				return len(text)
			default:
				at = spots[0]
			}
			m.begin = at
		}
		if at >= len(text) {
			break
		}
		if len(spots) > 0 && spots[0] == at || s.anywhere {
			prev := prevNone
			if at > 0 {
				prev = kindOf(text[at-1])
			}
			state = a.start(state, prev)
			for len(spots) > 0 && spots[0] == at {
				spots = spots[1:]
			}
		}
		var match bool
		state, match = a.step(state, int(text[at]))
		if match {
			m.ends = append(m.ends, at)
		} else if len(m.ends) > 0 && at-m.ends[len(m.ends)-1] > settleAfter {
			m.settle()
		}
		at++
		if at-m.begin > maxMatch {
			m.begin = at - maxMatch
		}
	}
	if m.over {
		return len(text)
	}
	if !final {
		m.settle()
		if s.anywhere {
			return max(m.begin, len(text)-settleAfter)
		}
		return m.begin
	}
	if _, match := a.step(state, endOfText); match {
		m.ends = append(m.ends, len(text))
	}
	m.settle()
	return len(text)
}

// settle looks at the matches that the automaton saw.
func (m *matcher) settle() {
	if len(m.ends) == 0 || m.over {
		return
	}
	first, last := m.ends[0], m.ends[len(m.ends)-1]
	if m.rule.lettersAllowed && m.onlyLetters() {
		m.ends = m.ends[:0]
		return
	}
	m.ends = m.ends[:0]
	begin := m.begin
	if m.rule.leads {
		for begin > 0 && m.begin-begin < maxLead && isName(m.text[begin-1]) {
			begin--
		}
	}
	from := max(0, begin-1)
	if first <= from {
		return
	}
	window := m.text[from:min(len(m.text), last+8)]
	if strict := m.form(m.rule.compiled(), window, from, last, false); strict && m.rule.loose != nil {
		m.form(m.rule.loose(), window, from, last, true)
	}
}

// form looks at the matches of one form of the rule in a window, which begins
// at from; last is the end of the last match. It tells whether to go on.
func (m *matcher) form(re *regexp.Regexp, window []byte, from, last int, loose bool) bool {
	done := &m.done[0]
	if loose {
		done = &m.done[1]
	}
	if last <= *done {
		return true
	}
	if m.budget -= len(window); m.budget < 0 {
		m.over = !m.tell(hit{rule: m.rule.id, begin: from, end: last})
		return false
	}
	m.hits = slices.DeleteFunc(m.hits, func(h hit) bool { return h.end <= from })
	for _, groups := range re.FindAllSubmatchIndex(window, -1) {
		end := from + groups[1]
		if end <= *done || end > last && (m.rule.loose == nil || end-last >= utf8.UTFMax) {
			continue // the end of the window stood in for the end of the text
		}
		if end == len(m.text) && !m.final && m.rule.loose != nil {
			continue // what follows will be judged with it
		}
		*done = end
		h, ok := m.judge(window, groups, from, loose || m.rule.strict)
		switch {
		case !ok, (loose || m.rule.strict) && !m.strictly(h):
			continue
		case !loose:
			m.hits = append(m.hits, h)
		case slices.ContainsFunc(m.hits, func(before hit) bool { return h.begin < before.end && before.begin < h.end }):
			continue
		}
		if !m.tell(h) {
			m.over = true
			return false
		}
	}
	return true
}

// strictly judges a hit of the loose form.
func (m *matcher) strictly(h hit) bool {
	if m.rule.drawn {
		return looksRandom([]byte(h.secret)) && assigned(m.text, h.begin)
	}
	if m.rule.alnumHead && (h.begin > 0 && fold[m.text[h.begin-1]] != 0 || h.end < len(m.text) && fold[m.text[h.end]] != 0) {
		return false
	}
	return entropy(h.secret) >= looseEntropy && (m.rule.fixed || strings.ContainsAny(h.secret, "0123456789"))
}

// onlyLetters tells that every match seen ends in a value that the rule allows:
// of letters alone, or loosely and not looking random.
func (m *matcher) onlyLetters() bool {
	for _, end := range m.ends {
		at, loose := end, end < len(m.text) && !endsStrictly(m.text[:end])
		if at-2 >= m.begin && m.text[at-2] == '\\' {
			at -= 2 // \n or \r as text
		}
		for at > m.begin && !isValue(m.text[at-1]) {
			at--
		}
		value := at
		for value > m.begin && isValue(m.text[value-1]) {
			value--
		}
		if loose && !looksRandom(m.text[value:at]) {
			continue
		}
		for _, c := range m.text[value:at] {
			if !isName(c) || c >= '0' && c <= '9' {
				return false
			}
		}
	}
	return true
}

// endsStrictly tells whether gitleaks' form may end where text ends.
func endsStrictly(text []byte) bool {
	switch c := text[len(text)-1]; c {
	case '`', '\'', '"', ';', ' ', '\t', '\n', '\f', '\r':
		return true
	case 'n', 'r':
		return len(text) > 1 && text[len(text)-2] == '\\'
	}
	return false
}

func isName(c byte) bool { return fold[c] != 0 || c == '_' || c == '.' || c == '-' }

func isValue(c byte) bool { return isName(c) || c == '=' || c == '+' || c == '/' }

// judge applies to a match what gitleaks does: the group, entropy and
// allowlists. Loosely, when the secret is long, other conditions stand in for
// some entropy, which hexadecimal digits have too little of, and for short stop
// words, which stand in what is drawn as well; and of the names that a match
// may hold, which an allowlist may be about, only the last counts.
func (m *matcher) judge(window []byte, groups []int, from int, loose bool) (hit, bool) {
	match := strings.Trim(string(window[groups[0]:groups[1]]), "\n")
	begin, end := groups[0], groups[1]
	secret := match
	if m.rule.secretGroup > 0 && groups[2*m.rule.secretGroup] >= 0 {
		begin, end = groups[2*m.rule.secretGroup], groups[2*m.rule.secretGroup+1]
		secret = string(window[begin:end])
	} else if m.rule.secretGroup == 0 {
		for i := 2; i < len(groups); i += 2 {
			if groups[i+1] > groups[i] {
				begin, end = groups[i], groups[i+1]
				secret = string(window[begin:end])
				break
			}
		}
	}
	least := m.rule.entropy
	relaxed := loose && len(secret) >= longSecret
	if relaxed {
		least = min(least, looseEntropy)
	}
	if least != 0 && entropy(secret) <= least {
		return hit{}, false
	}
	if loose {
		match = string(window[nameBefore(window[:begin], groups[0]):groups[1]])
	}
	line := func() string { return lineAround(m.text, from+groups[0], from+groups[1]) }
	for _, lists := range [][]*allowlist{m.rules.global, m.rule.allow} {
		for _, list := range lists {
			if list.allows(secret, match, line, relaxed) {
				return hit{}, false
			}
		}
	}
	return hit{rule: m.rule.id, begin: from + begin, end: from + end, secret: secret}, true
}
