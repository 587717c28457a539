// Package secretscan finds secrets in bytes and takes them out of text. Use
// Text for what is in memory, Name for what has no case, Reader for what
// streams, Redact for what is shown or written down, and For to scan for one
// destination.
//
// Secrets are the bottle's own known values, by exact value in every usual
// encoding, in base85, uuencode and rot13, reversed, in pieces, in dumps of words of
// up to four bytes, and with separators between the characters, or in another case
// if they have twelve letters and digits; and whatever matches one of gitleaks'
// default rules, without gitleaks' exemptions by path and comment, and whatever
// follows the match.
//
// What is encoded or compressed is decoded, and the result scanned again, two
// encodings and three containers deep: base64 at any offset, in either alphabet
// and in lines of eight characters or more, also where the line breaks are
// escaped; hexadecimal and base32; percent, JSON, HTML, hexadecimal and octal
// escapes; UTF-16 and UTF-32; lists of numbers and dumps of hexadecimal pairs;
// gzip, zlib, zip and bzip2, of any length also where they are encoded, and deflate
// without a header at the beginning of a stream or of a part of it.
//
// Not found is what is encrypted, or split into pieces shorter than eight bytes
// over several requests, or, of a value of 24 bytes or more, than twelve where
// each is base64 or base32; quoted-printable of a part of the characters and other
// compressors; base85, uuencode and rot13 where the value is in pieces or encoded
// again; a value with separators that has fewer than twelve letters and digits and
// is in another case or, made of words, in groups; a value of a shape that is
// reversed, in pieces, in base85, uuencode or rot13, or in a dump in groups of more
// than two digits; and a value that looks like a hash and has no telling name beside
// it.
package secretscan

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unsafe"
)

// Scanner knows the bottle's secret values. It is safe for concurrent use.
// A nil *Scanner knows none and lets everything pass.
type Scanner struct {
	known   *known
	rules   *rules
	key     []byte
	scope   string
	cleared func(Finding) bool
}

// Option changes how New builds a Scanner.
type Option func(*Scanner)

// WithKey sets the bottle's key for fingerprints. Without it a random one is
// used, and fingerprints do not outlive the process.
func WithKey(key []byte) Option {
	return func(s *Scanner) { s.key = slices.Clone(key) }
}

// WithoutRules makes a Scanner look for the known values alone, for text in
// which other people's secrets are none of the bottle's business: an origin's
// answer that must not echo a credential.
func WithoutRules() Option {
	return func(s *Scanner) { s.rules = nil }
}

// New returns a Scanner for the given secret values. Values shorter than 8
// bytes are an error: they would match everywhere.
func New(values []string, options ...Option) (*Scanner, error) {
	k, err := newKnown(values)
	if err != nil {
		return nil, err
	}
	r, err := defaultRules()
	if err != nil {
		return nil, err
	}
	s := &Scanner{known: k, rules: r}
	for _, option := range options {
		option(s)
	}
	if s.key == nil {
		s.key = make([]byte, sha256.Size)
		_, _ = rand.Read(s.key) // never fails
	}
	return s, nil
}

// For returns a Scanner for one destination: a host or a repository. Its
// fingerprints are for that scope alone. Findings for which cleared returns
// true are passed over and scanning goes on; nil clears none.
func (s *Scanner) For(scope string, cleared func(Finding) bool) *Scanner {
	if s == nil {
		return nil
	}
	scoped := *s
	scoped.scope, scoped.cleared = scope, cleared
	return &scoped
}

// Finding is a recognised secret. It never holds the secret itself.
type Finding struct {
	// Rule is the rule that matched, "known-secret" for a bottle's own value.
	Rule string
	// Place says where, e.g. "header X-Foo" or "body at byte 120".
	Place string
	// Offset is the byte in the text or stream where the secret begins, Line
	// the line, counted from 1.
	Offset int64
	Line   int
	// Fingerprint identifies scope, rule and secret without revealing them:
	// hex HMAC-SHA-256 under the bottle's key.
	Fingerprint string
}

// Error makes a Finding usable as the error of Reader.
func (f *Finding) Error() string { return "secret: " + f.Rule + " in " + f.Place }

// finding makes a Finding of a hit; nil if it was cleared.
func (s *Scanner) finding(place string, h hit) *Finding {
	mac := hmac.New(sha256.New, s.key)
	for _, part := range []string{s.scope, h.rule, h.secret} {
		fmt.Fprintf(mac, "%d:%s", len(part), part)
	}
	f := &Finding{Rule: h.rule, Place: place, Fingerprint: hex.EncodeToString(mac.Sum(nil))}
	if s.cleared != nil && s.cleared(*f) {
		return nil
	}
	return f
}

// collect scans text with everything that can be decoded from it and reports
// every hit. See sweep for the parameters and the result.
func (s *Scanner) collect(text []byte, final, redact bool, goesOn func(unended), report func(hit) bool) (hold int) {
	w := sweeps.Get().(*sweep)
	defer w.release()
	w.scanner, w.report, w.redact, w.goesOn = s, report, redact, goesOn
	return w.scan(text, final, 0, w.bound.tell)
}

// Text scans a short text held in memory; nil means clean.
func (s *Scanner) Text(place, text string) *Finding {
	return s.Bytes(place, view(text))
}

// Name is Text for what has no case, the name of a host or a header: a known
// value is found in it in whatever case.
func (s *Scanner) Name(place, name string) *Finding {
	found := s.Text(place, name)
	if s == nil || s.known == nil || found != nil {
		return found
	}
	s.known.scanName(name, func(h hit) bool {
		if found = s.finding(place, h); found != nil {
			found.Offset, found.Line = int64(h.begin), 1
		}
		return found == nil
	})
	return found
}

// view is text without a copy; nothing writes to what is scanned.
func view(text string) []byte { return unsafe.Slice(unsafe.StringData(text), len(text)) }

// Bytes is Text for bytes, which it does not change.
func (s *Scanner) Bytes(place string, text []byte) *Finding {
	if s == nil {
		return nil
	}
	if found := s.first(place, text); found != nil {
		return found
	}
	var inside unpackers
	found, _ := inside.push(s, place, text, 0, 0, true, 0)
	inside.stop()
	return found
}

// first is what is found first in text without unpacking it. It allocates
// nothing where nothing is found.
func (s *Scanner) first(place string, text []byte) *Finding {
	w := sweeps.Get().(*sweep)
	defer w.release()
	w.scanner, w.place, w.text, w.report = s, place, text, w.bound.take
	w.scan(text, true, 0, w.bound.tell)
	return w.found
}

const redacted = "[redacted]"

// Redact returns text with every known secret, in plain or encoded form, and
// every well-known token shape replaced by "[redacted]".
func (s *Scanner) Redact(text string) string {
	if s == nil {
		return text
	}
	var hits []hit
	s.collect(view(text), true, true, nil, func(h hit) bool {
		hits = append(hits, h)
		return true
	})
	if len(hits) == 0 {
		return text
	}
	slices.SortFunc(hits, func(a, b hit) int { return a.begin - b.begin })
	var clean strings.Builder
	at := 0
	for _, h := range hits {
		if h.end <= at {
			continue
		}
		if h.begin >= at {
			clean.WriteString(text[at:h.begin])
			clean.WriteString(redacted)
		}
		at = h.end
	}
	clean.WriteString(text[at:])
	return clean.String()
}
