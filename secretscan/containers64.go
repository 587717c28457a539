package secretscan

import "slices"

// marks64 are the characters that base64 gives for the magics, and how many
// characters of their group stand before them.
var marks64 = map[string]int{
	"H4sI": 0, "+LCA": 2, "+LCB": 2, "-LCA": 2, "-LCB": 2, "fiwg": 3, // gzip
	"UEsD": 0, "BLAw": 2, "QSwM": 3, // zip
	"Qlpo": 0, "JaaD": 2, "CWmg": 3, // bzip2
	"SDRz": 0, "VUVz": 0, // gzip and zip that are in base64 already
}

const mark64 = 4 // the length of each

// firstMarks64 are those that are too short to be looked for but at the
// beginning of a run, and firstMark64 is how all of them begin; minFirst64 is
// what the run has at least then.
var firstMarks64 = []string{"eJ", "eNo", "eAE", "eF"}

const (
	firstMark64 = 'e'
	minFirst64  = 22
)

// seconds64 are the second characters of marks64.
var seconds64 = func() (table [256]bool) {
	for mark := range marks64 {
		table[mark[1]] = true
	}
	return table
}()

// containers64 unpacks the containers that a run of base64 characters gives,
// the first of each alignment with all that follows it.
func (w *sweep) containers64(r *run, depth int, tell func(hit) bool) {
	text := r.characters
	unpack := func(from int) {
		buf := &w.tables[depth].text
		*buf = base64Coding.decode((*buf)[:0], text[from:])
		w.unpack(*buf, r.begin, r.end, !r.open, depth, tell, func(at int) unended {
			return r.unended(base64Coding, from, at)
		})
	}
	if text[0] == firstMark64 && slices.ContainsFunc(firstMarks64, func(mark string) bool { return string(text[:len(mark)]) == mark }) {
		unpack(0)
	}
	if len(text) < minContainer {
		return
	}
	var seen [4]bool
	for at := 0; at+mark64 <= len(text); at++ {
		if !seconds64[text[at+1]] {
			continue
		}
		before, ok := marks64[string(text[at:at+mark64])]
		if from := at - before; ok && from >= 0 && !seen[from%4] && !w.over {
			seen[from%4] = true
			unpack(from)
		}
	}
}

// unpack scans the containers in what text from begin to end gives. Those that go
// on after it are told as encoded says.
func (w *sweep) unpack(body []byte, begin, end int, final bool, depth int, tell func(hit) bool, encoded func(at int) unended) {
	if w.over || !holdsContainer(body) {
		return
	}
	var inside unpackers
	found, _ := inside.push(w.scanner, "", body, 0, 0, final, depth)
	if found == nil && depth == 0 && w.goesOn != nil {
		for _, u := range inside.list {
			if u.opener.first {
				continue // a guess, at every part of what is encoded
			}
			if e := encoded(int(u.begin)); e.decoded != nil {
				e.opener = u.opener
				w.goesOn(e)
			}
		}
	}
	inside.stop()
	if found != nil {
		tell(hit{rule: found.Rule, begin: begin, end: end, secret: found.Fingerprint})
	}
}
