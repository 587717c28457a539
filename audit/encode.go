package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// The bounds of one record; what is longer is cut, so that a caller who passes
// on what an agent wrote cannot be made to fill the disk with one line.
const (
	maxString = 1 << 10
	maxDetail = 64 << 10
)

// encode renders the members from slug to detail, redacted.
func (l *Log) encode(r Record) ([]byte, error) {
	body, err := l.render(r, func(s string) string { return s })
	if err != nil || l.o.Redact == nil {
		return body, err
	}
	// Without an escape every string stands there as it is, so one look at the
	// whole says whether any of them needs cleaning.
	if bytes.IndexByte(body, '\\') < 0 {
		if l.clean.holds(body) {
			return body, nil
		}
		if text := string(body); l.o.Redact(text) == text {
			l.clean.add(text)
			return body, nil
		}
	}
	return l.render(r, l.o.Redact)
}

func (l *Log) render(r Record, clean func(string) string) ([]byte, error) {
	buf := make([]byte, 0, 512)
	buf = append(buf, `"slug":`...)
	buf = appendString(buf, l.o.Slug, clean)
	buf = append(buf, `,"actor":`...)
	buf = appendString(buf, r.Actor, clean)
	buf = append(buf, `,"action":`...)
	buf = appendString(buf, r.Action, clean)
	buf = append(buf, `,"decision":`...)
	buf = appendString(buf, r.Decision, clean)
	buf = append(buf, `,"detail":`...)
	begin := len(buf)
	buf, err := appendObject(buf, r.Detail, clean)
	if err != nil {
		return nil, err
	}
	if n := len(buf) - begin; n > maxDetail {
		buf = append(buf[:begin], `{"too_long":`...)
		buf = strconv.AppendInt(buf, int64(n), 10)
		buf = append(buf, '}')
	}
	return buf, nil
}

func appendObject(buf []byte, object map[string]any, clean func(string) string) ([]byte, error) {
	var keys [16]string
	sorted := slices.AppendSeq(keys[:0], maps.Keys(object))
	slices.Sort(sorted)
	buf = append(buf, '{')
	for i, key := range sorted {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = appendString(buf, key, clean)
		buf = append(buf, ':')
		var err error
		if buf, err = appendValue(buf, object[key], clean); err != nil {
			return nil, fmt.Errorf("detail %q: %w", key, err)
		}
	}
	return append(buf, '}'), nil
}

func appendValue(buf []byte, value any, clean func(string) string) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(buf, "null"...), nil
	case string:
		return appendString(buf, v, clean), nil
	case bool:
		return strconv.AppendBool(buf, v), nil
	case int:
		return strconv.AppendInt(buf, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(buf, v, 10), nil
	case uint64:
		return strconv.AppendUint(buf, v, 10), nil
	case json.Number:
		return append(buf, v...), nil
	case error:
		return appendString(buf, v.Error(), clean), nil
	case map[string]any:
		return appendObject(buf, v, clean)
	case []any:
		buf = append(buf, '[')
		for i, element := range v {
			if i > 0 {
				buf = append(buf, ',')
			}
			var err error
			if buf, err = appendValue(buf, element, clean); err != nil {
				return nil, err
			}
		}
		return append(buf, ']'), nil
	}
	// Any other type goes through its own JSON, so that strings in it are
	// cleaned too.
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var plain any
	if err := decoder.Decode(&plain); err != nil {
		return nil, err
	}
	return appendValue(buf, plain, clean)
}

// appendString appends s as a JSON string, cleaned and then cut.
func appendString(buf []byte, s string, clean func(string) string) []byte {
	s = clean(s)
	if len(s) > maxString {
		cut := maxString
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = fmt.Sprintf("%s… (cut, %d bytes)", s[:cut], len(s))
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return appendEscaped(buf, s)
		}
	}
	buf = append(buf, '"')
	buf = append(buf, s...)
	return append(buf, '"')
}

func appendEscaped(buf []byte, s string) []byte {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string always has a JSON form
	return append(buf, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
}
