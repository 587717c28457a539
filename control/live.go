package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// The roles whose configuration can change while they run.
const (
	egress   = "egress"
	pipelock = "pipelock"
)

const (
	healthPoll = 20 * time.Millisecond
	// settleWait is how long a bundle may take to run on its files: it may be
	// starting, or in the middle of a change.
	settleWait = 5 * time.Second
	// healthTimeout bounds one question.
	healthTimeout = 2 * time.Second
)

// live is what a bottle runs on.
type live struct {
	files
	table  *routes.Table
	report health.Report
}

func (o *Operator) routesName() string   { return filepath.Base(o.dir.Routes()) }
func (o *Operator) pipelockName() string { return filepath.Base(o.dir.Pipelock()) }

// health asks the bundle.
func (o *Operator) health(ctx context.Context) (health.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	var report health.Report
	document, err := o.bottle.Health(ctx)
	if err != nil {
		return report, err
	}
	if err := json.Unmarshal(document, &report); err != nil {
		return report, fmt.Errorf("the bundle's health is no report: %w", err)
	}
	return report, nil
}

// read returns what is in force, and waits for a while until the files are
// that. Files that are not are ErrNotInForce.
func (o *Operator) read(ctx context.Context) (live, error) {
	deadline := time.Now().Add(settleWait)
	for {
		l, err := o.readNow(ctx)
		if err == nil {
			err = l.inForce()
		}
		_, unreadable := errors.AsType[*fs.PathError](err)
		if err == nil || unreadable || errors.Is(err, errNoRoutes) || time.Now().After(deadline) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return live{}, errors.Join(err, context.Cause(ctx))
		case <-time.After(healthPoll):
		}
	}
}

var errNoRoutes = errors.New("the bottle has no egress role, so it has no routes")

// readAny is read for a bottle whose files may be anything. A table that cannot
// be read is an empty one.
func (o *Operator) readAny(ctx context.Context) (live, error) {
	l, err := o.readNow(ctx)
	if l.Routes != nil && l.table == nil {
		l.table, err = routes.New(nil)
	}
	return l, err
}

// readNow reads the files, whether they are in force or not. When only the
// routes cannot be parsed, what it returns lacks a table alone.
func (o *Operator) readNow(ctx context.Context) (l live, err error) {
	if l.report, err = o.health(ctx); err != nil {
		return live{}, err
	}
	if _, ok := l.report.Roles[egress]; !ok {
		return live{}, errNoRoutes
	}
	if l.Routes, err = o.bottle.ReadFile(ctx, o.routesName()); err != nil {
		return live{}, fmt.Errorf("reading the live routes: %w", err)
	}
	if _, ok := l.report.Roles[pipelock]; ok {
		if l.Pipelock, err = o.bottle.ReadFile(ctx, o.pipelockName()); err != nil {
			return live{}, fmt.Errorf("reading pipelock's live configuration: %w", err)
		}
	}
	if l.table, err = routes.Parse(l.Routes); err != nil {
		return l, fmt.Errorf("%s: %w: %w", egress, ErrNotInForce, err)
	}
	return l, nil
}

// inForce compares the files with what the bundle tells.
func (l live) inForce() error {
	for role, content := range map[string][]byte{egress: l.Routes, pipelock: l.Pipelock} {
		if content == nil {
			continue
		}
		if got := l.report.Roles[role]; got.ConfigSHA256 != digest(content) {
			return fmt.Errorf("%s: %w%s", role, ErrNotInForce, because(got))
		}
	}
	return nil
}

func because(r health.RoleReport) string {
	if r.LastError == "" {
		return ""
	}
	return ": " + r.LastError
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
