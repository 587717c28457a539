package secretscan

import (
	"encoding/binary"
	"slices"
	"strings"
)

const (
	// minWord is the length of the shortest word, and of the core by which a
	// word is searched for.
	minWord = 3
	// coreBits is the width of the hash of a core. The table of the first look
	// must fit the fastest cache.
	coreBits = 15
	// lowerCase makes letters of eight bytes lower case; other characters may
	// collide, which costs a comparison.
	lowerCase = 0x2020202020202020
)

// words finds where words begin in a text, letters in either case. A word is
// recognised by its core, those three bytes of it that are the rarest in other
// text, and compared only where these stand.
type words struct {
	maybe  [1 << coreBits]uint8  // by hash: whether three bytes may be a core
	slots  [1 << coreBits]uint16 // by hash: the list of the words with that core, 0 for none
	lists  [][]coredWord
	heads  map[string]bool // beginnings of words, for the end of a text
	length int             // of the longest word
}

// coredWord is a word and where its core stands in it.
type coredWord struct {
	word   string
	number int
	core   int
	// head is the beginning of the word as a number, of the bytes in mask.
	head, mask uint64
}

// newWords numbers the words by their place in the list; all are lower case
// and have three bytes or more.
func newWords(list []string) *words {
	w := &words{lists: make([][]coredWord, 1), heads: make(map[string]bool)}
	for number, word := range list {
		core := coreOf(word)
		hash := coreHash(firstEight(word[core:]))
		w.maybe[hash] = 1
		slot := &w.slots[hash]
		if *slot == 0 {
			*slot = uint16(len(w.lists))
			w.lists = append(w.lists, nil)
		}
		mask := ^uint64(0) >> (8 * max(0, 8-len(word)))
		w.lists[*slot] = append(w.lists[*slot], coredWord{word, number, core, firstEight(word) & mask, mask})
		for n := minTail; n < len(word); n++ {
			w.heads[word[:n]] = true
		}
		w.length = max(w.length, len(word))
	}
	return w
}

func firstEight(word string) uint64 {
	var eight [8]byte
	copy(eight[:], word)
	return binary.LittleEndian.Uint64(eight[:]) | lowerCase
}

// eightAt is the eight bytes of text from at on. It is written so that the
// compiler checks no bounds in a loop that has checked them.
func eightAt(text []byte, at int) uint64 {
	return binary.LittleEndian.Uint64(text[at : at+8 : at+8])
}

// frequent are the characters that are frequent in text, and usual the threes of
// words' characters that are, with more than 60 in a million of English and of
// programs; the most frequent ones first.
const (
	frequent = " etaoinsrhldcumfpgwybvk"
	usual    = "int con --- ion typ ame ent ter ret for ype res and est tes lue add ate com unc nte ine ont ode ase " +
		"ass lin mat pro cal ith one ext tor ess loa tat wit _in age imp ble tch cod ele end oin new pat fro " +
		"ant nti tte are ock onf tra dat tel ace ive ssa abl gin try dar las ere her lic sio nce nde pac red " +
		"ali tim tai app orm ime era att st_ ces ata key fla ked les egi lag ini eco enc und mes boo ars ses " +
		"din dec ssi eck ske pri bas log our act art _co ntr fin ens _re lea ten rce 256 cre cke des clo ttr " +
		"gen api oau ord loo ewr pla sou min cor urc dis ast spa mer cur ttp ake eci et_ tre ffe ail s.t den " +
		"ops _pa shi htt ial ost wor oca sec lob dle qua ker nar map esp ed_ ken oke tab ero eam ndl cto mak " +
		"ory tok rel le_ edi bit eli ear oat ity mai erm fac rti sag lib _se sca ede s.a ona dex pas ink sha " +
		"aut lar spo lab ppo tps te_ s.p acc git sen roc rop sco or_ :// ich ork ook chi _li tia cce gra isc " +
		"bin nic uff ard es, ps: thr v1. was ark .lo s:/ ris s.s ale _pr me_ ron net glo rap ket _lo lif lim " +
		".to abi thu _ge hub ify ana itt hre son tly lia nec tea url s.c ful _to r13 ets nch rog sdk uth _en " +
		"cle sum ppl ubs efo joi itc e_t box _ke _te ntf in_ ems eys vis ck_ oli"
)

// coreOf is where the three bytes of a word begin that are the rarest.
func coreOf(word string) int {
	best := 0
	for at := range len(word) - minWord + 1 {
		if rarity(word[at:at+minWord]) > rarity(word[best:best+minWord]) {
			best = at
		}
	}
	return best
}

// rarity tells how rare three bytes are; only larger and smaller mean something.
func rarity(three string) int {
	if place := strings.Index(usual, three); place >= 0 {
		return place
	}
	product := len(usual)
	for i := range minWord {
		rank := strings.IndexByte(frequent, three[i])
		if rank < 0 {
			rank = 2 * len(frequent)
		}
		product *= rank + 3
	}
	return product
}

// coreMultiplier spreads three bytes over the upper bits. It is one with which
// hardly any that are frequent in English or in programs fall together with a
// core.
const coreMultiplier = 2236390785

// coreHash is the hash of the first three of eight bytes.
func coreHash(eight uint64) uint32 {
	return uint32(eight) * (coreMultiplier << 8 & 0xffffffff) >> (32 - coreBits)
}

// find calls found for every word, in order of their cores.
func (w *words) find(text []byte, found func(begin, number int)) {
	const places = 8 - minWord + 1 // in eight bytes
	at := 0
	for ; at+8 <= len(text); at += places {
		eight := eightAt(text, at) | lowerCase
		if w.maybe[coreHash(eight)]|w.maybe[coreHash(eight>>8)]|w.maybe[coreHash(eight>>16)]|
			w.maybe[coreHash(eight>>24)]|w.maybe[coreHash(eight>>32)]|w.maybe[coreHash(eight>>40)] == 0 {
			continue
		}
		for place := range places {
			if hash := coreHash(eight >> (8 * place)); w.maybe[hash] != 0 {
				w.compare(text, at+place, hash, found)
			}
		}
	}
	for ; at+minWord <= len(text); at++ {
		three := uint64(text[at]) | uint64(text[at+1])<<8 | uint64(text[at+2])<<16
		if hash := coreHash(three | lowerCase); w.maybe[hash] != 0 {
			w.compare(text, at, hash, found)
		}
	}
}

// compare calls found for the words whose core, of the given hash, stands in text
// at a place.
func (w *words) compare(text []byte, at int, hash uint32, found func(begin, number int)) {
	list := w.lists[w.slots[hash]]
	for i := range list {
		candidate := &list[i]
		begin := at - candidate.core
		if begin < 0 || begin+8 <= len(text) && (eightAt(text, begin)|lowerCase)&candidate.mask != candidate.head {
			continue
		}
		if equalFold(text[begin:], candidate.word) {
			found(begin, candidate.number)
		}
	}
}

// tail is where the longest beginning of a word begins that ends the text;
// len(text) if there is none.
func (w *words) tail(text []byte) int {
	end := lower(text[max(0, len(text)-w.length+1):])
	for n := len(end); n >= minTail; n-- {
		if w.heads[string(end[len(end)-n:])] {
			return len(text) - n
		}
	}
	return len(text)
}

// within tells whether a word, or at its end the beginning of one, is in text.
func (w *words) within(text []byte) bool {
	found := w.tail(text) < len(text)
	w.find(text, func(int, int) { found = true })
	return found
}

// equalFold tells whether text begins with word, which is in lower case.
func equalFold(text []byte, word string) bool {
	if len(text) < len(word) {
		return false
	}
	for i := range len(word) {
		c := text[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

func lower(text []byte) []byte {
	text = slices.Clone(text)
	for i, c := range text {
		if c >= 'A' && c <= 'Z' {
			text[i] = c + 'a' - 'A'
		}
	}
	return text
}
