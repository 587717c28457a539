package egress

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"

	"golang.org/x/net/http/httpguts"

	"github.com/claude-bottle/claude-bottle/policy"
)

// framing is how the end of a request's body is found.
type framing struct {
	connect bool
	chunked bool
	length  int64
	host    *string // of a CONNECT; nil = it had none
}

func malformed(reason string) *violation {
	return &violation{rule: policy.Malformed, reason: reason}
}

// parseHead reads a request head with its empty line, by the grammar of RFC
// 9112 without its tolerances: no folded lines, no bare line ends, no blank
// around a field name, one Host, and a length told once.
func parseHead(head []byte) (framing, *violation) {
	line, fields, _ := bytes.Cut(head, crlf)
	method, target, _ := bytes.Cut(line, space)
	target, version, _ := bytes.Cut(target, space)
	f, broken := parseLines(method, target, version, fields)
	if broken != nil && isToken(method) {
		broken.method, broken.target = string(method), string(target)
	}
	return f, broken
}

func parseLines(method, target, version, rest []byte) (f framing, _ *violation) {
	var line []byte
	switch {
	case !isToken(method) || len(target) == 0:
		return f, malformed("the request line is not method, target and version")
	case string(version) == "HTTP/2.0" && string(method) == "PRI":
		return f, &violation{rule: policy.Upgrade, reason: "HTTP/2 without TLS negotiation is not spoken here"}
	case string(version) != "HTTP/1.1" && string(version) != "HTTP/1.0":
		return f, malformed("the version of HTTP is not 1.0 or 1.1")
	case !visible(target):
		return f, malformed("the target of the request holds a control character")
	case !plainTarget(target) && !parsable(string(method), string(target)):
		return f, malformed("the target of the request is no URL")
	}
	f.connect = string(method) == "CONNECT"
	hosts, lengths, codings := 0, 0, 0
	for {
		line, rest, _ = bytes.Cut(rest, crlf)
		if len(line) == 0 {
			break
		}
		name, value, ok := field(line)
		if !ok {
			return f, malformed("a header line is not a name, a colon and a value")
		}
		switch {
		case bytes.EqualFold(name, hostName):
			hosts++
			if !httpguts.ValidHostHeader(string(value)) {
				return f, malformed("the Host is none")
			}
			if f.connect {
				host := string(value)
				f.host = &host
			}
		case bytes.EqualFold(name, contentLength):
			lengths++
			n, err := strconv.ParseUint(string(value), 10, 63)
			if err != nil {
				return f, malformed("Content-Length is no number")
			}
			f.length = int64(n)
		case bytes.EqualFold(name, transferEncoding):
			codings++
			if !bytes.EqualFold(value, chunked) {
				return f, malformed("a transfer coding other than chunked")
			}
			f.chunked = true
		}
	}
	switch {
	case hosts > 1 || hosts == 0 && string(version) == "HTTP/1.1":
		return f, malformed("a request has exactly one Host")
	case lengths+codings > 1:
		return f, malformed("the length of the body is told more than once")
	case f.chunked && string(version) == "HTTP/1.0":
		return f, malformed("HTTP/1.0 has no transfer codings")
	case f.connect && (f.chunked || f.length > 0):
		return f, malformed("CONNECT has no body")
	}
	return f, nil
}

var (
	crlf             = []byte("\r\n")
	space            = []byte(" ")
	chunked          = []byte("chunked")
	hostName         = []byte("Host")
	contentLength    = []byte("Content-Length")
	transferEncoding = []byte("Transfer-Encoding")
)

// visible reports whether a target holds neither blanks nor control characters.
func visible(target []byte) bool {
	for _, b := range target {
		if b <= ' ' || b == 0x7f {
			return false
		}
	}
	return true
}

// plainTarget reports whether a target in origin form has nothing that could
// keep it from being parsed.
func plainTarget(target []byte) bool {
	return target[0] == '/' && bytes.IndexByte(target, '%') < 0
}

// parsable reports whether net/http will take the target as a URL.
func parsable(method, target string) bool {
	if method == http.MethodConnect && target[0] != '/' {
		target = "http://" + target
	}
	_, err := url.ParseRequestURI(target)
	return err == nil
}

// field splits a header line; the value is trimmed.
func field(line []byte) (name, value []byte, ok bool) {
	name, value, ok = bytes.Cut(line, []byte(":"))
	if !ok || !isToken(name) {
		return nil, nil, false
	}
	for _, b := range value {
		if b < ' ' && b != '\t' || b == 0x7f {
			return nil, nil, false
		}
	}
	return name, bytes.Trim(value, " \t"), true
}

// isToken: RFC 9110's token, which is the grammar of methods and field names.
func isToken(s []byte) bool {
	for _, b := range s {
		if !tokenBytes[b] {
			return false
		}
	}
	return len(s) > 0
}

var tokenBytes = func() (table [256]bool) {
	for _, b := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		table[b] = true
	}
	return table
}()

// chunkSize reads a chunk's size line with its line end. Extensions are
// refused: nobody sends them but to be read in two ways.
func chunkSize(line []byte) (int64, bool) {
	digits, ok := bytes.CutSuffix(line, crlf)
	if !ok || len(digits) == 0 || len(digits) > 15 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(digits), 16, 63)
	return int64(n), err == nil
}

// checkTrailers reads trailers with their empty line.
func checkTrailers(trailers []byte) *violation {
	for rest := trailers; ; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, crlf)
		if len(line) == 0 {
			return nil
		}
		if _, _, ok := field(line); !ok {
			return malformed("a trailer is not a name, a colon and a value")
		}
	}
}
