package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/secretscan"
	"github.com/claude-bottle/claude-bottle/supervisor"
)

// bundleName stands in logs and audit for what no role did.
const bundleName = "bundle"

const (
	// grace is how long roles may take to stop.
	grace = 8 * time.Second
	// killMargin before its end a child that ignores SIGTERM is killed, so
	// that its role still returns in time.
	killMargin = 500 * time.Millisecond
)

// bundle is what the roles share.
type bundle struct {
	config  config
	log     *slog.Logger
	known   []string // secrets
	scanner *secretscan.Scanner
	audit   *audit.Log
	health  *health.Registry
	server  *http.Server // of health
	sockets *sockets
	reaper  supervisor.Reaper
	runDir  string        // private and short-lived
	grace   time.Duration // that roles get to stop
	// reload and replace hold the intent of SIGHUP and SIGUSR1. What nobody
	// reads is forgotten.
	reload, replace chan os.Signal
}

// runBundle runs until SIGTERM or SIGINT, or until a role is given up, and
// returns the exit code.
func runBundle(stderr io.Writer) int {
	// First of all: the default action of these signals is to die.
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	b := &bundle{reload: intent(unix.SIGHUP), replace: intent(unix.SIGUSR1), grace: grace}
	if short, err := time.ParseDuration(graceForTests); err == nil {
		b.grace = short
	}
	intent(unix.SIGPIPE) // a log that nobody reads any more ends nothing
	// A small heap is collected all the time: let it grow further between two
	// collections, as long as it stays small.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(softMemoryLimit)

	defer func() { os.RemoveAll(b.runDir) }()

	// Until the secrets are known, nothing is logged that could hold one.
	b.log = newLog(stderr, "", func(line string) string { return line })
	roles, err := b.prepare(stderr)
	if err != nil {
		name := bundleName
		var of *roleError
		if errors.As(err, &of) {
			name = of.role
		}
		b.logger(name).Error("cannot start", "error", err.Error())
		return 1
	}
	return b.run(ctx, roles)
}

// softMemoryLimit is from where on the collector works harder, in bytes.
const softMemoryLimit = 512 << 20

// intent remembers that a signal came, not how often.
func intent(s os.Signal) chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, s)
	return c
}

// prepare does all that can fail for good, so that no role runs when another
// one cannot.
func (b *bundle) prepare(stderr io.Writer) ([]role, error) {
	if err := harden(); err != nil {
		return nil, err
	}
	env := environment(os.Environ())
	env.forget()
	var err error
	if b.config, err = env.parse(); err != nil {
		return nil, err
	}
	if server := b.config.egress.resolver; server != "" {
		useResolver(server)
	}
	if b.sockets, err = inherit(env); err != nil {
		return nil, err
	}
	if b.known, err = knownSecrets(b.config); err != nil {
		return nil, err
	}
	var options []secretscan.Option
	if len(b.config.roles) > 0 {
		key, err := fingerprintKey(b.beside("fingerprint.key"))
		if err != nil {
			return nil, fmt.Errorf("the folder of CLAUDE_BOTTLE_AUDIT: %w", err)
		}
		options = append(options, secretscan.WithKey(key))
	}
	if b.scanner, err = secretscan.New(b.known, options...); err != nil {
		return nil, err
	}
	b.log = newLog(stderr, b.config.slug, b.scanner.Redact)
	log := b.logger(bundleName)
	for _, name := range b.config.unknown {
		log.Warn("ignoring a role that does not exist", "name", name, "known", allRoles)
	}
	b.health = health.New(b.config.roles...)
	if err := b.serveHealth(); err != nil {
		return nil, err
	}
	if len(b.config.roles) == 0 {
		log.Warn("no role is selected: idle")
		return nil, nil
	}
	if b.audit, err = audit.Open(b.config.audit, audit.Options{Slug: b.config.slug, Redact: b.scanner.Redact}); err != nil {
		return nil, fmt.Errorf("CLAUDE_BOTTLE_AUDIT: %w", err)
	}
	if b.runDir, err = os.MkdirTemp("", "sidecars-"); err != nil {
		return nil, fmt.Errorf("a private folder, see TMPDIR: %w", err)
	}
	roles, err := b.buildRoles()
	if err != nil {
		b.audit.Close()
		return nil, err
	}
	for _, name := range b.sockets.closeRest() {
		log.Warn("closing a listener that was handed over for no selected role", "name", name)
	}
	return roles, nil
}

func (b *bundle) logger(role string) *slog.Logger { return b.log.With("role", role) }

// beside is a file in the folder of the audit chain, the one that the bundle
// may write to and that outlives it.
func (b *bundle) beside(name string) string {
	return filepath.Join(filepath.Dir(b.config.audit), name)
}

func (b *bundle) serveHealth() error {
	listeners, err := b.sockets.listen("health", b.config.healthListen, "CLAUDE_BOTTLE_HEALTH_LISTEN")
	if err != nil {
		return err
	}
	b.server = &http.Server{
		Handler:           b.health.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      5 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(b.logger("health").Handler(), slog.LevelWarn),
	}
	for _, l := range listeners {
		go func() {
			if err := b.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				b.logger("health").Error("no longer served", "error", err.Error())
			}
		}()
	}
	return nil
}

// run runs the roles to the end.
func (b *bundle) run(ctx context.Context, roles []role) int {
	log := b.logger(bundleName)
	start := audit.Record{Actor: bundleName, Action: "start", Decision: "started",
		Detail: map[string]any{"version": version, "roles": b.config.roles}}
	if head := b.config.operatorHead; head.Seq > 0 {
		start.Detail = audit.AnchorOperator(start.Detail, head)
	}
	if err := b.audit.Append(start); err != nil {
		log.Error("cannot start", "error", err.Error())
		return 1
	}
	log.Info("start", "version", version, "roles", b.config.roles)
	if os.Getpid() == 1 {
		go func() {
			if err := b.reaper.Run(ctx); ctx.Err() == nil {
				log.Warn("orphans stay as zombies", "error", err.Error())
			}
		}()
	}
	config := supervisor.Config{
		MaxCrashes: b.config.maxCrashes,
		Grace:      b.grace,
		OnDeath:    b.died,
		OnStuck:    func(role string) { b.logger(role).Error("did not stop in time: killing it") },
	}
	for _, r := range roles {
		config.Roles = append(config.Roles, supervisor.Role{Name: r.name, Run: r.supervised(b)})
	}
	code := supervisor.Run(ctx, config)
	b.reaper.KillAll()
	b.server.Close()
	log.Info("stop", "code", code)
	stop := audit.Record{Actor: bundleName, Action: "stop", Decision: "stopped", Detail: map[string]any{"code": code}}
	if err := b.audit.End(stop); err != nil {
		log.Error("the stop is not in the audit log", "error", err.Error())
	}
	return code
}

// died makes a role's death known.
func (b *bundle) died(name string, err error, restart bool) {
	text := b.scanner.Redact(err.Error())
	b.health.Role(name).Crashed(errors.New(text))
	attributes := []any{"error", text, "restart", restart}
	var panicked *supervisor.PanicError
	if errors.As(err, &panicked) {
		attributes = append(attributes, "stack", string(panicked.Stack))
	}
	b.logger(name).Error("died", attributes...)
	record := audit.Record{Actor: name, Action: "crash", Decision: "died", Detail: map[string]any{"error": text, "restart": restart}}
	if err := b.audit.Append(record); err != nil {
		b.logger(name).Error("the death is not in the audit log", "error", err.Error())
	}
}
