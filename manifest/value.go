package manifest

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"github.com/claude-bottle/claude-bottle/internal/strictyaml"
)

// Form says where the value of a variable comes from.
type Form int

// The forms a value is written in.
const (
	// Literal stands in the file as it is.
	Literal Form = iota
	// Question, written ?text, is asked at the terminal.
	Question
	// HostVar, written ${NAME}, is a variable of the operator's environment.
	HostVar
)

// Value is a variable's value as a bottle file gives it.
type Value struct {
	Form Form
	// Text is the value, the question, or the variable's name.
	Text string
	// Where is the file and line, for errors.
	Where string

	line int
}

var (
	variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	hostVarForm  = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)
)

// UnmarshalYAML reads one of the three forms.
func (v *Value) UnmarshalYAML(node *yaml.Node) error {
	var text string
	if err := strictyaml.Node(node, &text); err != nil {
		return err
	}
	parsed, err := parseValue(text)
	parsed.line = node.Line
	*v = parsed
	return at(node.Line, err)
}

func parseValue(text string) (Value, error) {
	if name := hostVarForm.FindStringSubmatch(text); name != nil {
		return Value{Form: HostVar, Text: name[1]}, nil
	}
	if strings.Contains(text, "${") {
		return Value{}, errors.New("env: a host variable is the whole value, ${NAME}; it cannot be part of a text")
	}
	if strings.IndexByte(text, 0) >= 0 {
		return Value{}, errors.New("env: a value with a NUL byte")
	}
	if question, ok := strings.CutPrefix(text, "?"); ok {
		if question = strings.TrimSpace(question); question == "" {
			return Value{}, errors.New("env: a question needs its text after the question mark")
		}
		return Value{Form: Question, Text: question}, nil
	}
	return Value{Form: Literal, Text: text}, nil
}

func checkVariable(key, name string) error {
	if !variableForm.MatchString(name) {
		return fmt.Errorf("%s: %.60q cannot be the name of an environment variable", key, name)
	}
	return nil
}
