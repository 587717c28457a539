package secretscan

// minChanges is how many changes between upper case, lower case and digits a
// value has that is no word with a number.
const minChanges = 3

// spread looks in text for the values that are too short to be told by their
// letters and digits in any case: these must stand in their own case, and each
// apart, for words of prose give such a value in a row: "let me in", for one.
// Only what no words give may also stand in groups.
type spread struct {
	text      []byte
	at, count int // a place, and how many letters and digits stand before it
}

// find tells whether the letters and digits of exact stand in the text from the
// letter number begin on. Calls come in order of begin.
func (s *spread) find(begin int, exact string) bool {
	for s.at < len(s.text) && (s.count < begin || !stands(s.text, s.at)) {
		if stands(s.text, s.at) {
			s.count++
		}
		s.at++
	}
	grouped := changes(exact) >= minChanges
	last, n := -2, 0
	for at := s.at; at < len(s.text); at++ {
		if !stands(s.text, at) {
			continue
		}
		if s.text[at] != exact[n] || at == last+1 && !grouped {
			return false
		}
		last = at
		if n++; n == len(exact) {
			return true
		}
	}
	return false
}

// stands tells whether a letter or digit that is no separator stands at a place.
func stands(text []byte, at int) bool { return fold[text[at]] != 0 && !separates(text, at) }

// changes is how often the kind of character changes in a text.
func changes(text string) int {
	n := 0
	for i := 1; i < len(text); i++ {
		if charKind(text[i]) != charKind(text[i-1]) {
			n++
		}
	}
	return n
}

// letters is the letters and digits of a value in their case.
func letters(value string) string {
	out := make([]byte, 0, len(value))
	for i := range view(value) {
		if stands(view(value), i) {
			out = append(out, value[i])
		}
	}
	return string(out)
}
