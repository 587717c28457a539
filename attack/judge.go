package attack

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Result is what became of one case.
type Result struct {
	Case     Case
	Attempts []Attempt
	// Problems are why the case did not hold; empty = it held. They come from
	// inside the bottle, so they are cleaned of control characters.
	Problems []string
}

// Held tells whether every attempt was stopped and every control came through.
func (r Result) Held() bool { return len(r.Problems) == 0 }

// Attempt is one line of a script.
type Attempt struct {
	// Kind is "attack", which must be stopped; "control", which must not;
	// "arrives", a control that must be seen outside as well; or "missing", a
	// tool that the case cannot do without.
	Kind string
	Name string
	// Want are the outcomes that are right; Got is the one there was.
	Want []string
	Got  string
}

func parse(text string) []Attempt {
	var attempts []Attempt
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 4)
		a := Attempt{Kind: fields[0]}
		if len(fields) > 1 {
			a.Name = clean(fields[1])
		}
		if len(fields) == 4 {
			a.Want, a.Got = strings.Split(fields[2], "|"), clean(fields[3])
		}
		attempts = append(attempts, a)
	}
	return attempts
}

// clean makes text from inside the bottle fit to be shown.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return '?'
	}, text)
	if runes := []rune(text); len(runes) > 200 {
		return string(runes[:200]) + "…"
	}
	return text
}

// judge finds the problems of a case that was played.
func (r *Result) judge(world World) {
	attacks, controls := 0, 0
	for _, a := range r.Attempts {
		right := slices.Contains(a.Want, a.Got)
		switch a.Kind {
		case "attack":
			attacks++
		case "control", "arrives":
			controls++
			if a.Kind == "arrives" && (world == nil || !world.Arrived(r.Case.Name+"/"+a.Name)) {
				r.problem("control %s did not arrive outside (%s)", a.Name, a.Got)
			}
		case "missing":
			r.problem("%s is not installed in the bottle, and the case needs it", a.Name)
			continue
		default:
			r.problem("the script printed a line that is none of its own: %q", clean(a.Kind))
			continue
		}
		if !right {
			r.problem("%s %s: %s, not %s", a.Kind, a.Name, a.Got, strings.Join(a.Want, " or "))
		}
	}
	if len(r.Problems) == 0 && (attacks == 0 || controls == 0) {
		r.problem("only %d attacks and %d controls were played", attacks, controls)
	}
	if world != nil {
		for _, leak := range world.Leaks() {
			r.problem("got out: %s", clean(leak))
		}
	}
}

func (r *Result) problem(format string, a ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, a...))
}
