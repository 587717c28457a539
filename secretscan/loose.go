package secretscan

import (
	"bytes"
	"regexp/syntax"
	"slices"
)

// Gitleaks' expressions want a quote, a blank, a semicolon or the end of the
// text after a secret, and often that no word character stands before it. What
// leaves a bottle ends in other ways: ?q=SECRET&x=1, <SECRET>, SECRET.txt, a
// zero byte in an archive. So most rules have a second, looser form, whose
// matches are judged more strictly.

// looseEnd follows the value of a rule that looks for a name and a value.
// A parenthesis would make a call of it.
const looseEnd = `[^\w=\-(]|$`

// leadingName is how the expressions begin that look for a name and a value.
const leadingName = `[\w.-]{0,50}?`

// loosen returns an expression that matches wherever re does, and more, and one
// for an automaton that sees the ends of the matches of both; nil if there is
// none that would still tell secrets from other text. named says that re looks
// for a name and a value.
func loosen(re *syntax.Regexp, named bool) (loose, both *syntax.Regexp) {
	if named {
		return withEnd(re, "(?:"+looseEnd+")"), withEnd(re, "(?:"+looseEnd+`|\\[nNrR])`)
	}
	loose = withoutEdges(re, true, dropped)
	if matchesBlank(loose) || loose.Equal(re) || prefixLength(loose) < minPrefix || alnumPrefix(loose) && varies(loose) {
		return nil, nil
	}
	return loose, withoutEdges(re, true, optionalEnd)
}

// withEnd puts another end in the place of a terminator.
func withEnd(re *syntax.Regexp, end string) *syntax.Regexp {
	changed := *re
	changed.Sub = slices.Clone(re.Sub)
	last := len(re.Sub) - 1
	switch {
	case re.Op == syntax.OpConcat && isTerminator(re.Sub[last]):
		parsed, err := syntax.Parse(end, syntax.Perl)
		if err != nil {
			panic(err) // it is a constant
		}
		changed.Sub[last] = parsed
	case re.Op == syntax.OpAlternate:
		for i, sub := range re.Sub {
			changed.Sub[i] = withEnd(sub, end)
		}
	}
	return &changed
}

// edge says what becomes of a condition on what stands after a match.
type edge int

const (
	kept edge = iota
	dropped
	optionalEnd
)

// withoutEdges drops the conditions on what stands before and after a match.
func withoutEdges(re *syntax.Regexp, before bool, after edge) *syntax.Regexp {
	changed := *re
	changed.Sub = slices.Clone(re.Sub)
	switch re.Op {
	case syntax.OpConcat:
		if before && changed.Sub[0].Op == syntax.OpWordBoundary {
			changed.Sub = changed.Sub[1:]
		}
		var trailing *syntax.Regexp
		last := len(changed.Sub) - 1
		if end := changed.Sub[last]; after != kept && last > 0 && (isTerminator(end) || end.Op == syntax.OpWordBoundary) {
			changed.Sub = changed.Sub[:last]
			if after == optionalEnd {
				trailing = &syntax.Regexp{Op: syntax.OpQuest, Sub: []*syntax.Regexp{end}}
			}
		}
		for i, sub := range changed.Sub {
			inner := kept
			if i == len(changed.Sub)-1 {
				inner = after
			}
			changed.Sub[i] = withoutEdges(sub, before && i == 0, inner)
		}
		if trailing != nil {
			changed.Sub = append(changed.Sub, trailing)
		}
	case syntax.OpCapture, syntax.OpAlternate:
		for i, sub := range changed.Sub {
			changed.Sub[i] = withoutEdges(sub, before, after)
		}
	}
	return &changed
}

// isTerminator tells whether re is what has to follow a secret: some
// characters, or the end of the text.
func isTerminator(re *syntax.Regexp) bool {
	return re.Op == syntax.OpAlternate && slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool {
		return sub.Op == syntax.OpEndText
	})
}

// matchesBlank tells whether a match may hold a blank: it is no single token.
func matchesBlank(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpLiteral:
		return slices.Contains(re.Rune, ' ')
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			if re.Rune[i] <= ' ' && re.Rune[i+1] >= ' ' {
				return true
			}
		}
	}
	return slices.ContainsFunc(re.Sub, matchesBlank)
}

const (
	// A value that ends loosely has a part of so many characters with digits
	// in so many places, or with more changes between upper case, lower
	// case and digits than so many in 20 characters. Names in programs do not.
	// Fewer changes are enough where vowels are rarer than in words.
	minLoose, looseDigits, looseChanges, vowellessChanges = 16, 3, 10, 7
	// looseEntropy is the least entropy, in bits a character, of a secret that
	// matches loosely.
	looseEntropy = 3.0
	// longSecret is the length from which on it is enough.
	longSecret = 28
	// minPrefix is the length of the shortest literal beginning that is rare
	// enough in other text.
	minPrefix = 3
)

// looksRandom tells whether a part of a value was drawn rather than written by
// a person. Points, dashes and underscores separate parts.
func looksRandom(value []byte) bool {
	for part := range bytes.FieldsFuncSeq(value, func(c rune) bool { return c == '.' || c == '-' || c == '_' }) {
		if len(part) >= minLoose && drawn(part) {
			return true
		}
	}
	return false
}

func drawn(part []byte) bool {
	var letters, vowels, places, changes int
	before := byte(0)
	for _, c := range part {
		class := charKind(c)
		if class != before {
			changes++
			if class == 'd' {
				places++
			}
		}
		if class == 'l' || class == 'u' {
			letters++
			switch fold[c] {
			case 'a', 'e', 'i', 'o', 'u':
				vowels++
			}
		}
		before = class
	}
	if 4*vowels < letters && 20*changes > vowellessChanges*len(part) {
		return true
	}
	return letters > 0 && places > 0 && (places >= looseDigits || 20*changes > looseChanges*len(part))
}

// assigned tells whether the value at begin has a name before it that it is
// given to; after a comma it may be the next argument of a call.
func assigned(text []byte, begin int) bool {
	before := bytes.TrimRight(text[max(0, begin-8):begin], "`'\" \t\r\n\f")
	return len(before) > 0 && before[len(before)-1] != ','
}

// nameBefore is where the name begins that stands last in text, before the signs
// that give it a value, from a position on.
func nameBefore(text []byte, from int) int {
	at := len(text)
	for at > from && !isName(text[at-1]) {
		at--
	}
	for at > from && isName(text[at-1]) {
		at--
	}
	return at
}

// prefixes are the literal texts that matches of re begin with; exact tells
// whether they are no longer than these.
func prefixes(re *syntax.Regexp) (list []string, exact bool) {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{string(re.Rune)}, true
	case syntax.OpCapture:
		return prefixes(re.Sub[0])
	case syntax.OpConcat:
		list, exact = []string{""}, true
		for i := 0; i < len(re.Sub) && exact; i++ {
			var more []string
			more, exact = prefixes(re.Sub[i])
			list = product(list, more)
		}
		return list, exact
	case syntax.OpAlternate:
		exact = true
		for _, sub := range re.Sub {
			more, same := prefixes(sub)
			list, exact = append(list, more...), exact && same
		}
		return list, exact
	}
	return []string{""}, false
}

func prefixLength(re *syntax.Regexp) int {
	n := maxHeadLen
	list, _ := prefixes(re)
	for _, prefix := range list {
		n = min(n, len(prefix))
	}
	return n
}

// alnumPrefix tells whether matches may begin with letters and digits alone,
// which stand in longer words and in encoded text by chance.
func alnumPrefix(re *syntax.Regexp) bool {
	list, _ := prefixes(re)
	return slices.ContainsFunc(list, func(prefix string) bool {
		return len(foldString(prefix)) == len(prefix)
	})
}

// varies tells whether matches may have different lengths.
func varies(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		return true
	case syntax.OpRepeat:
		return re.Min != re.Max
	}
	return slices.ContainsFunc(re.Sub, varies)
}

// charKind is 'l', 'u', 'd' or 's' for lower and upper case, digits and signs.
func charKind(c byte) byte {
	switch {
	case c >= 'a' && c <= 'z':
		return 'l'
	case c >= 'A' && c <= 'Z':
		return 'u'
	case c >= '0' && c <= '9':
		return 'd'
	}
	return 's'
}
