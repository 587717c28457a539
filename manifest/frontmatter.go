package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/claude-bottle/claude-bottle/internal/strictyaml"
)

// split parts a file into its YAML front matter, between two lines "---", and
// its body. Lines of front count as in the file. Without a first line "---"
// all is body and front is nil.
func split(src []byte) (front, body []byte, err error) {
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	if !utf8.Valid(src) || bytes.IndexByte(src, 0) >= 0 {
		return nil, nil, errors.New("not a text in UTF-8")
	}
	first, rest, _ := bytes.Cut(src, []byte("\n"))
	if !isFence(first) {
		return nil, src, nil
	}
	for at := 0; at < len(rest); {
		line, _, more := bytes.Cut(rest[at:], []byte("\n"))
		next := at + len(line)
		if more {
			next++
		}
		if isFence(line) {
			// The empty line stands for the fence, so that lines keep their number.
			return append([]byte("\n"), rest[:at]...), rest[next:], nil
		}
		at = next
	}
	return nil, nil, &strictyaml.Error{Line: 1, Message: "the front matter has no end: put a line --- after it"}
}

func isFence(line []byte) bool {
	return string(bytes.TrimRight(line, " \t\r")) == "---"
}

// locate puts the file's name before each error, "file:line: what".
func locate(path string, err error) error {
	if err == nil {
		return nil
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range several.Unwrap() {
			errs = append(errs, locate(path, e))
		}
		return errors.Join(errs...)
	}
	if e, ok := err.(*strictyaml.Error); ok && e.Line > 0 {
		return fmt.Errorf("%s:%d: %s", path, e.Line, e.Message)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// at gives each message of err the line.
func at(line int, err error) error {
	if err == nil {
		return nil
	}
	return &strictyaml.Error{Line: line, Message: err.Error()}
}
