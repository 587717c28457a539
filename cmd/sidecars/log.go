package main

import (
	"io"
	"log/slog"
)

// redacted passes whole log lines through redact.
type redacted struct {
	w      io.Writer
	redact func(string) string
}

func (r redacted) Write(line []byte) (int, error) {
	if _, err := io.WriteString(r.w, r.redact(string(line))); err != nil {
		return 0, err
	}
	return len(line), nil
}

// newLog writes JSON lines without secrets. It becomes the default logger, so
// that what libraries log is redacted too.
func newLog(w io.Writer, slug string, redact func(string) string) *slog.Logger {
	log := slog.New(slog.NewJSONHandler(redacted{w, redact}, nil)).With("slug", slug)
	slog.SetDefault(log.With("role", bundleName))
	return log
}
