package pipelock

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
)

// maxLine bounds a line of the child's output in bytes. What is longer is left
// out whole: the cut could run through a secret.
const maxLine = 64 << 10

// lines cuts what is written into lines for emit.
type lines struct {
	emit    func(string)
	pending []byte
	long    bool // the present line is too long
}

func (l *lines) Write(b []byte) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			l.keep(b)
			return n, nil
		}
		l.keep(b[:i])
		l.flush()
		b = b[i+1:]
	}
}

func (l *lines) keep(b []byte) {
	if l.long = l.long || len(l.pending)+len(b) > maxLine; l.long {
		l.pending = nil
		return
	}
	l.pending = append(l.pending, b...)
}

// flush ends the line.
func (l *lines) flush() {
	switch text := strings.TrimSpace(string(l.pending)); {
	case l.long:
		l.emit(fmt.Sprintf("(a line of more than %d bytes is left out)", maxLine))
	case text != "":
		l.emit(text)
	}
	l.pending, l.long = l.pending[:0], false
}

// emitEvent logs a line of the child's standard output: JSON, whose strings are
// cleaned one by one, because escapes could hide a secret in the whole.
func (r *Role) emitEvent(pid int, line string) {
	var event map[string]any
	if err := json.Unmarshal([]byte(line), &event); err != nil {
		r.c.Log.Info("pipelock says", "pid", pid, "text", r.clean(line))
		return
	}
	level := slog.LevelInfo
	if text, ok := event["level"].(string); ok {
		_ = level.UnmarshalText([]byte(text)) // one that slog does not know stays info
	}
	delete(event, "level")
	delete(event, "time")
	r.c.Log.Log(context.Background(), level, "pipelock says", "pid", pid, "event", r.cleanValue(event))
}

// emitText logs a line of the child's standard error and keeps it as one of its
// last words.
func (r *Role) emitText(pid int, t *tail, line string) {
	line = r.clean(line)
	t.add(line)
	r.c.Log.Info("pipelock says", "pid", pid, "text", line)
}

func (r *Role) cleanValue(v any) any {
	switch v := v.(type) {
	case string:
		return r.clean(v)
	case []any:
		for i := range v {
			v[i] = r.cleanValue(v[i])
		}
		return v
	case map[string]any:
		cleaned := make(map[string]any, len(v))
		for key, member := range v {
			cleaned[r.clean(key)] = r.cleanValue(member)
		}
		return cleaned
	default:
		return v
	}
}

// query is a URL up to its query string, and the query string.
var query = regexp.MustCompile(`([a-z]+://[^\s"'?#]*)[?#][^\s"']*`)

// clean takes secrets and query strings out of text.
func (r *Role) clean(text string) string {
	return query.ReplaceAllString(r.c.Scanner.Redact(text), "$1")
}

// tail keeps the last words of a child, for the error of its death.
type tail struct {
	mu   sync.Mutex
	text string
}

// maxTail bounds them in bytes.
const maxTail = 300

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(line) > maxTail {
		line = strings.ToValidUTF8(line[:maxTail], "") + "…"
	}
	t.text = line
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text
}
