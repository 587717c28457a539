package secretscan

import (
	"regexp/syntax"
	"strings"
	"unicode"
)

const (
	maxHeads   = 128 // per expression
	maxHeadLen = 16
	maxClass   = 64
)

// withoutLead drops what an expression may begin with but need not: it does
// not change whether there is a match, only where it begins.
func withoutLead(re *syntax.Regexp) *syntax.Regexp {
	switch re.Op {
	case syntax.OpConcat:
		for len(re.Sub) > 1 && optional(re.Sub[0]) {
			re.Sub = re.Sub[1:]
		}
		re.Sub[0] = withoutLead(re.Sub[0])
	case syntax.OpCapture, syntax.OpAlternate:
		for i := range re.Sub {
			re.Sub[i] = withoutLead(re.Sub[i])
		}
	}
	return re
}

func optional(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpStar, syntax.OpQuest:
		return true
	case syntax.OpRepeat:
		return re.Min == 0
	}
	return false
}

// heads returns strings in lower case, one of which every match of re begins
// with; none if there are no good ones.
func heads(re *syntax.Regexp) []string {
	list, _ := headsOf(re)
	for i, head := range list {
		if len(head) > maxHeadLen {
			head = head[:maxHeadLen]
			list[i] = head
		}
		if len(head) < minWord {
			return nil
		}
	}
	return list
}

// headsOf also tells whether re matches exactly these strings and no longer
// ones. The list holds "" where nothing is known.
func headsOf(re *syntax.Regexp) (list []string, exact bool) {
	unknown := []string{""}
	switch re.Op {
	case syntax.OpLiteral:
		return literal(re.Rune)
	case syntax.OpCharClass:
		return class(re.Rune)
	case syntax.OpCapture:
		return headsOf(re.Sub[0])
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText,
		syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return unknown, true
	case syntax.OpPlus:
		list, _ = headsOf(re.Sub[0])
		return list, false
	case syntax.OpRepeat:
		if re.Min > 0 {
			list, exact = headsOf(re.Sub[0])
			return list, exact && re.Min == 1 && re.Max == 1
		}
	case syntax.OpQuest:
		list, exact = headsOf(re.Sub[0])
		return append(list, ""), exact
	case syntax.OpAlternate:
		exact = true
		for _, sub := range re.Sub {
			more, same := headsOf(sub)
			list, exact = append(list, more...), exact && same
		}
		if len(list) > maxHeads {
			return unknown, false
		}
		return list, exact
	case syntax.OpConcat:
		list, exact = unknown, true
		for _, sub := range re.Sub {
			more, same := headsOf(sub)
			if len(list)*len(more) > maxHeads || len(more) > 8 && shortest(list) >= minWord {
				return list, false
			}
			list, exact = product(list, more), same
			if !exact {
				break
			}
		}
		return list, exact
	}
	return unknown, false
}

func literal(runes []rune) ([]string, bool) {
	var text strings.Builder
	for _, r := range runes {
		if r >= 0x80 {
			return []string{text.String()}, false
		}
		text.WriteRune(unicode.ToLower(r))
	}
	return []string{text.String()}, true
}

func shortest(list []string) int {
	n := maxHeadLen
	for _, s := range list {
		n = min(n, len(s))
	}
	return n
}

// class lists the characters of a small class.
func class(ranges []rune) ([]string, bool) {
	var list []string
	var seen [0x80]bool
	for i := 0; i+1 < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			if r >= 0x80 {
				if r == '\u017f' || r == '\u212a' {
					continue // fold to ASCII and are not written in secrets
				}
				return []string{""}, false
			}
			if lower := unicode.ToLower(r); !seen[lower] {
				seen[lower] = true
				list = append(list, string(lower))
			}
			if len(list) > maxClass {
				return []string{""}, false
			}
		}
	}
	return list, true
}

func product(a, b []string) []string {
	var list []string
	for _, x := range a {
		for _, y := range b {
			list = append(list, x+y)
		}
	}
	return list
}
