package secretscan

import "slices"

// words finds many words in a text in one pass, letters in either case
// (Aho and Corasick's automaton with every transition computed).
type words struct {
	classes [256]uint8
	width   int
	next    []uint16 // by state and class
	ends    [][]int  // by state: the words that end in it, nil for most
	deep    []uint8  // by state: how much of a word was read
	first   uint16   // states from here on have words
}

// newWords numbers the words by their place in the list; all are lower case.
func newWords(list []string) *words {
	w := &words{width: 1}
	for _, word := range list {
		for i := range len(word) {
			if w.classes[word[i]] == 0 {
				w.classes[word[i]] = uint8(w.width)
				w.width++
			}
		}
	}
	for c := byte('A'); c <= 'Z'; c++ {
		w.classes[c] = w.classes[c+'a'-'A']
	}
	type node struct {
		next  []int
		fail  int
		words []int
		deep  int
	}
	empty := make([]int, w.width)
	nodes := []node{{next: slices.Clone(empty)}}
	for number, word := range list {
		at := 0
		for i := range len(word) {
			c := w.classes[word[i]]
			if nodes[at].next[c] == 0 {
				nodes = append(nodes, node{next: slices.Clone(empty), deep: i + 1})
				nodes[at].next[c] = len(nodes) - 1
			}
			at = nodes[at].next[c]
		}
		nodes[at].words = append(nodes[at].words, number)
	}
	queue := []int{0}
	for i := 0; i < len(queue); i++ {
		at := queue[i]
		for c, child := range nodes[at].next {
			fail := 0
			if at != 0 {
				fail = nodes[nodes[at].fail].next[c]
			}
			if child == 0 || child == fail {
				nodes[at].next[c] = fail
				continue
			}
			nodes[child].fail = fail
			nodes[child].words = append(nodes[child].words, nodes[fail].words...)
			queue = append(queue, child)
		}
	}
	// States with words get the highest numbers, so that one comparison tells.
	slices.SortStableFunc(queue, func(a, b int) int {
		return min(1, len(nodes[a].words)) - min(1, len(nodes[b].words))
	})
	number := make([]uint16, len(nodes))
	for i, n := range queue {
		number[n] = uint16(i)
	}
	w.first = uint16(len(queue))
	for i, n := range queue {
		for _, child := range nodes[n].next {
			w.next = append(w.next, number[child])
		}
		w.ends = append(w.ends, nodes[n].words)
		w.deep = append(w.deep, uint8(min(255, nodes[n].deep)))
		if len(nodes[n].words) > 0 && i < int(w.first) {
			w.first = uint16(i)
		}
	}
	return w
}

// find calls found for every word, in the order of their ends, and returns
// where the word begins that the end of text is in the middle of.
func (w *words) find(text []byte, found func(end int, numbers []int)) (open int) {
	state, width, next, classes, first := uint16(0), w.width, w.next, &w.classes, w.first
	for i, c := range text {
		state = next[int(state)*width+int(classes[c])]
		if state >= first {
			found(i+1, w.ends[state])
		}
	}
	return len(text) - int(w.deep[state])
}
