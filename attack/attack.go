// Package attack holds the ways out of a bottle that were thought of, and plays
// them from inside a running one.
//
// A case is a shell script below cases, named after its attack. Each line it
// prints is one attempt, or one control: the same thing with harmless content,
// which must come through, so that a bottle that is merely broken does not pass
// for one that holds. What arrived outside is told by a [World], and wins over
// what the script believes. Without a world the script's word is all there is,
// and a hostile agent in the same bottle could change it: it shows what the
// bottle stops, not whether its agent is honest.
package attack

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

//go:embed cases
var files embed.FS

// Exec runs a command inside a bottle, in the agent's environment, and returns
// its exit code. The error is about running it at all.
type Exec func(ctx context.Context, command []string, out, err io.Writer) (code int, e error)

// World is the outside that the cases are played against. It belongs to one
// run; cases are played one after the other.
type World interface {
	// Variables are what the scripts know of it, NAME=value, nothing secret.
	Variables() []string
	// Arrived tells whether a control, named "case/name", came out whole.
	Arrived(control string) bool
	// Leaks tells what came out since it was last asked and should not have.
	Leaks() []string
}

// Case is one attack.
type Case struct {
	// Name is the script's file name without ".sh".
	Name string
	// Tells is the script's first comment: what is tried.
	Tells string
	// NeedsWorld: it sends to servers of a World. The others send to refused
	// and reserved destinations only, and nothing worth hiding.
	NeedsWorld bool

	script string
}

// Cases are all there are, those that need no world first, by name.
func Cases() []Case {
	var all []Case
	for _, dir := range []string{"live", "world"} {
		scripts, err := fs.Glob(files, path.Join("cases", dir, "*.sh"))
		if err != nil {
			panic(err) // the pattern is a constant
		}
		for _, name := range scripts {
			script := mustRead(name)
			first, _, _ := strings.Cut(script, "\n")
			all = append(all, Case{
				Name:       strings.TrimSuffix(path.Base(name), ".sh"),
				Tells:      strings.TrimPrefix(first, "# "),
				NeedsWorld: dir == "world",
				script:     script,
			})
		}
	}
	return all
}

func mustRead(name string) string {
	content, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it was embedded
	}
	return string(content)
}

// Live are the cases that need no world: they can be played in any bottle.
func Live() []Case {
	return slices.DeleteFunc(Cases(), func(c Case) bool { return c.NeedsWorld })
}

// Run plays cases one after the other. A nil world is enough for those of
// [Live]. When ctx ends the case at hand fails and no further one is played.
func Run(ctx context.Context, exec Exec, world World, cases []Case) []Result {
	var results []Result
	for _, c := range cases {
		if ctx.Err() != nil {
			break
		}
		results = append(results, play(ctx, exec, world, c))
	}
	return results
}

// The bottle may be hostile: maxOutput bounds what a case may print, and maxTime
// how long it may take.
const (
	maxOutput = 1 << 20
	maxTime   = 5 * time.Minute
)

func play(ctx context.Context, exec Exec, world World, c Case) Result {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	command := []string{"env", "CASE=" + c.Name, "LIB_PY=" + mustRead("cases/lib.py")}
	if world != nil {
		world.Leaks() // of whatever was before
		command = append(command, world.Variables()...)
	}
	command = append(command, "sh", "-c", mustRead("cases/lib.sh")+c.script)
	out, complaints := &limited{}, &limited{}
	code, err := exec(ctx, command, out, complaints)
	result := Result{Case: c, Attempts: parse(out.text.String())}
	if err == nil && code != 0 {
		err = fmt.Errorf("the script ended with code %d: %s", code, strings.TrimSpace(complaints.text.String()))
	}
	if err != nil {
		result.problem("%s", clean(err.Error()))
	}
	if out.cut {
		result.problem("the script printed more than %d bytes", maxOutput)
	}
	result.judge(world)
	return result
}

// limited keeps the beginning of what is written.
type limited struct {
	text bytes.Buffer
	cut  bool
}

func (l *limited) Write(p []byte) (int, error) {
	room := min(maxOutput-l.text.Len(), len(p))
	l.text.Write(p[:room])
	l.cut = l.cut || room < len(p)
	return len(p), nil
}
