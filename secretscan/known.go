package secretscan

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// KnownSecret is the rule of a bottle's own value.
	KnownSecret = "known-secret"
	// minValue is the length of the shortest value that can be searched for.
	minValue = gram
	// minFolded is the least number of letters and digits a value must have to
	// be recognised with separators between them and in any case.
	minFolded = 12
	// nestValue is the length up to which twofold encodings are listed,
	// because they are too short to be decoded.
	nestValue = 16
	// longFragment is the length of a fragment that is not shown.
	longFragment = 2 * gram
	// fragmentTime is how long fragments of one value are added up.
	fragmentTime = time.Minute
)

// known finds the bottle's own secret values. The nil known finds none.
type known struct {
	values []string
	forms  *index // the values, their encodings and their fragments
	folded *index // letters and digits of the values in lower case

	// longest is the length of the longest pattern.
	longest int

	mu     sync.Mutex
	pieces [][]piece // by value
}

// piece is a fragment of a value that was seen.
type piece struct {
	begin, end int
	seen       time.Time
}

func newKnown(values []string) (*known, error) {
	k := &known{}
	var forms, folded []pattern
	for i, value := range values {
		if len(value) < minValue {
			return nil, fmt.Errorf("secretscan: known value %d has %d bytes; fewer than %d would match everywhere", i+1, len(value), minValue)
		}
		if slices.Contains(k.values, value) {
			continue
		}
		number := len(k.values)
		k.values = append(k.values, value)
		whole := append(encodings(value), value)
		if plus := strings.ReplaceAll(value, " ", "+"); plus != value {
			whole = append(append(whole, plus), encodings(plus)...) // as in a query
		}
		if len(value) < nestValue {
			for _, form := range encodings(value) {
				whole = append(whole, encodings(form)...)
			}
		}
		slices.Sort(whole)
		for _, form := range slices.Compact(whole) {
			if len(form) >= gram {
				forms = append(forms, pattern{text: form, value: number, offset: -1})
			}
		}
		if len(value) >= 2*gram {
			for offset := range len(value) - gram + 1 {
				forms = append(forms, pattern{text: value[offset : offset+gram], value: number, offset: offset})
			}
		}
		for _, form := range append([]string{value}, hexForm(value)...) {
			if text := foldString(form); len(text) >= minFolded {
				folded = append(folded, pattern{text: text, value: number, offset: -1})
			}
		}
	}
	for _, p := range forms {
		k.longest = max(k.longest, len(p.text))
	}
	k.forms, k.folded = newIndex(forms), newIndex(folded)
	k.pieces = make([][]piece, len(k.values))
	return k, nil
}

// hexForm is the value in hexadecimal, to be found as 41:42:43 and the like.
func hexForm(value string) []string { return []string{fmt.Sprintf("%x", value)} }

// scan reports known values in text and returns the position from which on
// more text could make one. Fragments are added up over the calls, or, with
// longAlone, reported each by itself when they are long.
func (k *known) scan(text []byte, final, longAlone bool, report func(hit) bool) (hold int) {
	if k == nil {
		return len(text)
	}
	hold = len(text)
	if !final {
		hold = k.forms.tail(text)
	}
	skip := 0 // fragments before it were already extended over it
	k.forms.find(text, func(at int, candidates []pattern) bool {
		for _, p := range candidates {
			switch rest := text[at:]; {
			case p.offset < 0 && len(p.text) > len(rest):
				if strings.HasPrefix(p.text, string(rest)) {
					hold = min(hold, at)
				}
			case p.offset < 0:
				if string(rest[:len(p.text)]) == p.text && !report(k.hit(p.value, at, at+len(p.text))) {
					return false
				}
			case at >= skip:
				n := common(rest, k.values[p.value][p.offset:])
				skip = at + n - gram + 1
				told := n >= longFragment
				if !longAlone {
					told = k.complete(p.value, p.offset, p.offset+n)
				}
				if told && !report(k.hit(p.value, at, at+n)) {
					return false
				}
			}
		}
		return true
	})
	return hold
}

func (k *known) hit(value, begin, end int) hit {
	return hit{rule: KnownSecret, begin: begin, end: end, secret: k.values[value]}
}

func common(text []byte, value string) int {
	n := min(len(text), len(value))
	for i := range n {
		if text[i] != value[i] {
			return i
		}
	}
	return n
}

// complete notes a fragment of a value and tells whether it and the others
// seen lately make up the value, but for less than a fragment.
func (k *known) complete(value, begin, end int) bool {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	pieces := slices.DeleteFunc(k.pieces[value], func(p piece) bool {
		return now.Sub(p.seen) > fragmentTime || p.begin >= begin && p.end <= end
	})
	pieces = append(pieces, piece{begin, end, now})
	k.pieces[value] = pieces
	sorted := slices.SortedFunc(slices.Values(pieces), func(a, b piece) int { return a.begin - b.begin })
	covered, reach := 0, 0
	for _, p := range sorted {
		if p.end > reach {
			covered += p.end - max(reach, p.begin)
			reach = p.end
		}
	}
	if len(k.values[value])-covered >= gram {
		return false
	}
	k.pieces[value] = nil
	return true
}

// scanFolded reports known values whose letters and digits stand in text in
// this order, whatever stands between them and in whatever case.
// buf is memory to work in, which is returned.
func (k *known) scanFolded(text, buf []byte, report func(hit) bool) []byte {
	if k == nil || k.folded == nil {
		return buf
	}
	folded := slices.Grow(buf[:0], len(text))[:len(text)]
	n := 0
	for _, c := range text {
		f := folds[c]
		folded[n] = byte(f)
		n += int(f >> 8)
	}
	folded = folded[:n]
	k.folded.find(folded, func(at int, candidates []pattern) bool {
		for _, p := range candidates {
			if n := len(p.text); len(folded)-at >= n && string(folded[at:at+n]) == p.text {
				begin, end := unfold(text, at, at+n)
				if !report(k.hit(p.value, begin, end)) {
					return false
				}
			}
		}
		return true
	})
	return folded
}

// fold maps letters and digits to themselves in lower case, all else to 0.
var fold = func() (table [256]byte) {
	for c := range 256 {
		switch b := byte(c); {
		case b >= 'a' && b <= 'z', b >= '0' && b <= '9':
			table[c] = b
		case b >= 'A' && b <= 'Z':
			table[c] = b + 'a' - 'A'
		}
	}
	return table
}()

// folds is fold with how many bytes are kept above it.
var folds = func() (table [256]uint16) {
	for c, f := range fold {
		if table[c] = uint16(f); f != 0 {
			table[c] |= 1 << 8
		}
	}
	return table
}()

func foldString(s string) string {
	var folded strings.Builder
	for i := range len(s) {
		if f := fold[s[i]]; f != 0 {
			folded.WriteByte(f)
		}
	}
	return folded.String()
}

// unfold tells where the letters and digits number begin to end-1 stand.
func unfold(text []byte, begin, end int) (from, to int) {
	n := 0
	for i, c := range text {
		if fold[c] == 0 {
			continue
		}
		if n == begin {
			from = i
		}
		if n++; n == end {
			return from, i + 1
		}
	}
	return from, len(text)
}
