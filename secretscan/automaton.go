package secretscan

import (
	"regexp/syntax"
	"slices"
	"sync"
	"unsafe"
)

const (
	// maxStates bounds the memory of one automaton; beyond it, it is begun anew.
	maxStates = 4096
	// dead and fresh are states: no way to match, and not computed yet.
	dead  = int32(0)
	fresh = int32(-1)
	// endOfText stands for what follows the last byte.
	endOfText = 256
)

// automaton tells where matches of a regular expression end, one table look-up
// a byte. Its states, sets of positions in the compiled expression, are
// computed when they are first reached. It works on bytes: one that is not
// ASCII is taken for any character that is not. Callers hold mu while they
// walk.
type automaton struct {
	prog *syntax.Prog

	classes [257]uint8 // bytes no instruction tells apart, and endOfText
	width   int        // number of classes
	sample  []int      // a byte of each class

	mu     sync.Mutex
	next   []int32  // by state and class: the next state, twice, plus 1 for a match before the byte
	added  []int32  // by state: the state with a new start in it
	begun  [4]int32 // by the byte before: the state of a start alone
	sets   []stateSet
	number map[string]int32
	stack  []uint32
	mark   []uint32
	round  uint32
}

// stateSet is the positions a state stands for. Conditions on the next byte
// (\b, $) are kept as positions until it is known.
type stateSet struct {
	pcs  []uint32
	prev prevByte
}

// prevByte is what conditions need to know of the byte before.
type prevByte uint8

const (
	prevNone prevByte = iota
	prevOther
	prevWord
	prevNewline
)

var prevRunes = [...]rune{prevNone: -1, prevOther: ' ', prevWord: 'a', prevNewline: '\n'}

func kindOf(b byte) prevByte {
	switch {
	case b == '\n':
		return prevNewline
	case b == '_' || fold[b] != 0:
		return prevWord
	}
	return prevOther
}

func newAutomaton(expression *syntax.Regexp) (*automaton, error) {
	prog, err := syntax.Compile(expression)
	if err != nil {
		return nil, err
	}
	a := &automaton{prog: prog, mark: make([]uint32, len(prog.Inst))}
	a.classify()
	a.reset()
	return a, nil
}

// classify finds the bytes between which no instruction distinguishes.
func (a *automaton) classify() {
	var distinct []*syntax.Inst
	seen := make(map[string]bool)
	for i := range a.prog.Inst {
		inst := &a.prog.Inst[i]
		switch inst.Op {
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			key := string(rune(inst.Op)) + string(rune(inst.Arg&1)) + string(inst.Rune)
			if !seen[key] {
				seen[key] = true
				distinct = append(distinct, inst)
			}
		}
	}
	numbers := make(map[string]uint8)
	signature := make([]byte, len(distinct)+1)
	for b := range 256 {
		for i, inst := range distinct {
			signature[i] = 0
			if matchByte(inst, b) {
				signature[i] = 1
			}
		}
		signature[len(distinct)] = byte(kindOf(byte(b)))
		class, ok := numbers[string(signature)]
		if !ok {
			class = uint8(len(numbers))
			numbers[string(signature)] = class
			a.sample = append(a.sample, b)
		}
		a.classes[b] = class
	}
	a.classes[endOfText] = uint8(len(numbers))
	a.sample = append(a.sample, endOfText)
	a.width = len(a.sample)
}

func matchByte(inst *syntax.Inst, b int) bool {
	if b < 0x80 {
		return inst.MatchRune(rune(b))
	}
	return inst.MatchRune('é') || inst.MatchRune('中')
}

func (a *automaton) reset() {
	a.next, a.added, a.sets = a.next[:0], a.added[:0], a.sets[:0]
	a.number = make(map[string]int32)
	a.begun = [4]int32{fresh, fresh, fresh, fresh}
	a.state(nil, prevNone) // dead
}

// state returns the number of a set of positions, which it copies.
func (a *automaton) state(pcs []uint32, prev prevByte) int32 {
	if len(pcs) == 0 && len(a.sets) > 0 {
		return dead
	}
	slices.Sort(pcs)
	key := string(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(pcs))), 4*len(pcs))) + string(rune(prev))
	if n, ok := a.number[key]; ok {
		return n
	}
	n := int32(len(a.sets))
	a.sets = append(a.sets, stateSet{slices.Clone(pcs), prev})
	a.number[key] = n
	for range a.width {
		a.next = append(a.next, fresh)
	}
	a.added = append(a.added, fresh)
	return n
}

// start returns the state before a match that may begin after prev, beside
// the matches that state s is in. It may renumber the states: s must be the
// only one the caller keeps.
func (a *automaton) start(s int32, prev prevByte) int32 {
	known := &a.begun[prev]
	set := stateSet{prev: prev}
	if s != dead {
		known, set = &a.added[s], a.sets[s]
	}
	if *known != fresh {
		return *known
	}
	a.round++
	pcs := a.follow(nil, uint32(a.prog.Start), -1)
	for _, pc := range set.pcs {
		pcs = a.follow(pcs, pc, -1)
	}
	n := a.state(pcs, set.prev)
	if s != dead {
		known = &a.added[s] // it may have moved
	}
	*known = n
	return n
}

// step returns the state after byte b (or endOfText) and whether a match ends
// before it. It may renumber the states like start.
func (a *automaton) step(s int32, b int) (next int32, match bool) {
	at := int(s)*a.width + int(a.classes[b])
	n := a.next[at]
	if n == fresh {
		renumbered := len(a.sets) >= maxStates
		n = a.compute(s, a.sample[a.classes[b]])
		if !renumbered {
			a.next[at] = n
		}
	}
	return n >> 1, n&1 != 0
}

func (a *automaton) compute(s int32, b int) int32 {
	set := a.sets[s]
	r := rune(-1)
	if b < 0x80 {
		r = rune(b)
	} else if b < endOfText {
		r = 'é'
	}
	condition := int(syntax.EmptyOpContext(prevRunes[set.prev], r))
	a.round++
	var open []uint32
	for _, pc := range set.pcs {
		open = a.follow(open, pc, condition)
	}
	match := int32(0)
	a.round++
	var pcs []uint32
	for _, pc := range open {
		inst := &a.prog.Inst[pc]
		switch inst.Op {
		case syntax.InstMatch:
			match = 1
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if b < endOfText && matchByte(inst, b) {
				pcs = a.follow(pcs, inst.Out, -1)
			}
		}
	}
	if len(a.sets) >= maxStates {
		a.reset()
	}
	prev := prevNone
	if b < endOfText {
		prev = kindOf(byte(b))
	}
	return a.state(pcs, prev)<<1 | match
}

// follow adds to pcs the positions that are reached from pc without reading.
// condition is what holds at this place, -1 if it is not known yet.
func (a *automaton) follow(pcs []uint32, pc uint32, condition int) []uint32 {
	a.stack = append(a.stack[:0], pc)
	for len(a.stack) > 0 {
		pc := a.stack[len(a.stack)-1]
		a.stack = a.stack[:len(a.stack)-1]
		if a.mark[pc] == a.round {
			continue
		}
		a.mark[pc] = a.round
		inst := &a.prog.Inst[pc]
		switch inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			a.stack = append(a.stack, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop:
			a.stack = append(a.stack, inst.Out)
		case syntax.InstEmptyWidth:
			switch {
			case condition < 0:
				pcs = append(pcs, pc)
			case inst.Arg&^uint32(condition) == 0:
				a.stack = append(a.stack, inst.Out)
			}
		case syntax.InstFail:
		default:
			pcs = append(pcs, pc)
		}
	}
	return pcs
}
