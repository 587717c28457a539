package canon

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Path is a canonical absolute path, without query. It is case-sensitive.
type Path string

// ParsePath returns the canonical form of an escaped request path: dot
// segments and doubled slashes resolved, unreserved characters unescaped,
// other escapes in upper case, everything RFC 3986 does not allow in a path
// escaped. A trailing slash stays. Escapes are decoded once: "%252f" is the
// text "%2f" and stays "%252f". The empty path is "/"; the "*" of OPTIONS is
// no path.
// Errors wrap ErrPath or ErrMalformed.
func ParsePath(escaped string) (Path, error) { return parsePath(escaped, false) }

// ParseSlashedPath is ParsePath for servers that are known to read "%2f" as a
// slash. read is the path as they read it; sent is the same path with its
// encoded slashes as they came: compare read, forward sent. An encoded slash
// at the end, or beside an empty or a dot segment, is ErrPath: with it the two
// would lead to different places. ParsePath takes no sent that differs from
// read.
func ParseSlashedPath(escaped string) (read, sent Path, err error) {
	if sent, err = parsePath(escaped, true); err != nil {
		return "", "", err
	}
	plain := slashes.Replace(string(sent))
	if len(plain) == len(sent) {
		return sent, sent, nil
	}
	read, err = ParsePath(plain)
	if err == nil && (string(read) != plain || strings.EqualFold(string(sent[len(sent)-3:]), "%2f")) {
		err = fmt.Errorf("path %q: an encoded slash stands where it changes the place that is meant: %w", clip(escaped), ErrPath)
	}
	if err != nil {
		return "", "", err
	}
	return read, sent, nil
}

var slashes = strings.NewReplacer("%2f", "/", "%2F", "/")

// parsePath leaves encoded slashes as they are, or refuses them.
func parsePath(escaped string, slashed bool) (Path, error) {
	if escaped == "" {
		return "/", nil
	}
	if escaped[0] != '/' {
		return "", fmt.Errorf("path %q does not start with a slash: %w", clip(escaped), ErrMalformed)
	}
	if isCanonical(escaped) {
		return Path(escaped), nil
	}
	out := make([]byte, 0, len(escaped)+8)
	for rest := escaped; rest != ""; {
		segment := rest[1:]
		end := strings.IndexByte(segment, '/')
		last := end < 0
		if last {
			end = len(segment)
		}
		segment, rest = segment[:end], segment[end:]
		start := len(out)
		out = append(out, '/')
		var err error
		if out, err = appendSegment(out, segment, slashed); err != nil {
			return "", fmt.Errorf("path %q: %w", clip(escaped), err)
		}
		switch string(out[start+1:]) {
		case "", ".":
			out = out[:start]
		case "..":
			if start == 0 {
				return "", fmt.Errorf("path %q climbs above the root: %w", clip(escaped), ErrPath)
			}
			out = out[:bytes.LastIndexByte(out[:start], '/')]
		default:
			continue
		}
		if last {
			out = append(out, '/')
		}
	}
	return Path(out), nil
}

// Under reports whether p is rule or lies below it, by whole segments: /org
// is not above /org-evil. Under a rule with a trailing slash lies only what
// has that slash.
func (p Path) Under(rule Path) bool {
	rest, ok := strings.CutPrefix(string(p), string(rule))
	if !ok || rule == "" {
		return false
	}
	return rest == "" || rest[0] == '/' || rule[len(rule)-1] == '/'
}

// isCanonical reports whether a path, known to start with a slash, needs no
// work. It may say no to a canonical path that holds escapes.
func isCanonical(path string) bool {
	for i := range len(path) {
		switch c := path[i]; {
		case c == '/':
			if i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.') {
				return false
			}
		case !literal(c):
			return false
		}
	}
	return true
}

// unreserved characters of RFC 3986, section 2.3: with or without escape they
// are the same.
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// literal characters stand in a canonical path as they are: pchar of RFC 3986
// without ';' and '%'.
func literal(c byte) bool {
	return unreserved(c) || strings.IndexByte("!$&'()*+,=:@", c) >= 0
}

// appendSegment appends the canonical form of one segment, with slashed also
// of one that holds encoded slashes.
func appendSegment(out []byte, segment string, slashed bool) ([]byte, error) {
	ascii := true
	start := len(out)
	for i := 0; i < len(segment); i++ {
		c, escape := segment[i], false
		if c == '%' {
			if i+2 >= len(segment) || !isHex(segment[i+1]) || !isHex(segment[i+2]) {
				return nil, fmt.Errorf("'%%' without two hexadecimal digits: %w", ErrMalformed)
			}
			c, escape = unhex(segment[i+1])<<4|unhex(segment[i+2]), true
			i += 2
		}
		switch {
		case slashed && escape && c == '/':
			out = append(out, segment[i-2:i+1]...)
		case c == '\\' || c == ';' || escape && (c == '/' || c < ' ' || c == 0x7f):
			return nil, fmt.Errorf("byte 0x%02x in a segment is read differently by different servers: %w", c, ErrPath)
		case c <= ' ' && !escape || c == 0x7f || !escape && (c == '?' || c == '#'):
			return nil, fmt.Errorf("byte 0x%02x does not belong in a path: %w", c, ErrMalformed)
		case unreserved(c) || literal(c) && !escape:
			out = append(out, c)
		default:
			out = append(out, '%', upperHex[c>>4], upperHex[c&15])
			ascii = ascii && c < 0x80
		}
	}
	if !ascii && !validUTF8(out[start:]) {
		return nil, fmt.Errorf("a segment is not UTF-8: %w", ErrPath)
	}
	return out, nil
}

// validUTF8 decodes a canonical segment, whose escapes are well-formed.
func validUTF8(segment []byte) bool {
	decoded := make([]byte, 0, len(segment))
	for i := 0; i < len(segment); i++ {
		if segment[i] == '%' {
			decoded = append(decoded, unhex(segment[i+1])<<4|unhex(segment[i+2]))
			i += 2
			continue
		}
		decoded = append(decoded, segment[i])
	}
	return utf8.Valid(decoded)
}

const upperHex = "0123456789ABCDEF"

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	default:
		return c - 'a' + 10
	}
}
