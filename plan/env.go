package plan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/claude-bottle/claude-bottle/agentenv"
	"github.com/claude-bottle/claude-bottle/manifest"
)

// minSecret is the least length of a value that is treated as a secret: a
// shorter one would be found everywhere.
const minSecret = 8

// variable is one of the bottle file's variables with its value.
type variable struct {
	name, value, where string
	// supplied: the operator gave the value now, it does not stand in the file.
	supplied bool
}

// resolveEnv finds the values of the bottle file's variables, by name.
func resolveEnv(ctx context.Context, o Options, bottle *manifest.Bottle) ([]variable, error) {
	var env []variable
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(bottle.Env)) {
		v := bottle.Env[name]
		value, err := resolve(ctx, o, name, v)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", v.Where, err))
		}
		env = append(env, variable{name, value, v.Where, v.Form != manifest.Literal})
	}
	return env, errors.Join(errs...)
}

func resolve(ctx context.Context, o Options, name string, v manifest.Value) (string, error) {
	if agentenv.Reserved(name) {
		return "", errors.New("the bottle sets this variable itself; remove the key")
	}
	switch v.Form {
	case manifest.HostVar:
		value, ok := o.Lookup(v.Text)
		if !ok {
			return "", fmt.Errorf("the host variable %s is not set; export it in the shell that runs bottle", v.Text)
		}
		return value, checkValue(value)
	case manifest.Question:
		if o.Ask == nil {
			return "", fmt.Errorf("asks %q, and there is no terminal to ask at; run bottle at a terminal, or write ${NAME} and export the variable", v.Text)
		}
		value, err := o.Ask(ctx, v.Text)
		if err != nil {
			return "", err
		}
		return value, checkValue(value)
	}
	return v.Text, nil
}

func checkValue(value string) error {
	if strings.IndexByte(value, 0) >= 0 {
		return errors.New("the value holds a NUL byte, which no environment can carry")
	}
	return nil
}

// pemBoundary is RFC 7468's encapsulation boundaries.
var pemBoundary = regexp.MustCompile(`^\s*-----(BEGIN|END) [A-Z0-9 ]+-----\s*$`)

// knownSecrets are all credentials and what the operator supplied, one line
// each, without those too short to be told from other text and the lines around
// a key in PEM, which every such key has.
func knownSecrets(c *credentials, env []variable) []string {
	values := slices.Collect(maps.Values(c.values))
	for _, v := range env {
		if v.supplied {
			values = append(values, strings.FieldsFunc(v.value, func(r rune) bool { return r == '\n' || r == '\r' })...)
		}
	}
	values = slices.DeleteFunc(values, func(s string) bool { return len(s) < minSecret || pemBoundary.MatchString(s) })
	slices.Sort(values)
	return slices.Compact(values)
}
