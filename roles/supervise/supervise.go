// Package supervise is the MCP server at which an agent asks its operator for
// more: a host, a push, anything it has not got. It files what is asked in the
// proposal queue and tells the agent the operator's answer; it grants nothing.
//
// The agent may disconnect, be restarted, ask twice or never come back: what
// was asked lives in the queue alone, and a waiting call is only somebody who
// looks at it.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/mark3labs/mcp-go/server"
	"golang.org/x/net/netutil"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// Config of New. Listeners and Queue are needed.
type Config struct {
	// Listeners are agent-facing; Run closes them.
	Listeners []net.Listener
	// Queue is the folder of the proposal queue; it is made if need be.
	Queue string
	// Wait is how long a blocking tool waits for the operator before it
	// answers "pending". 0 answers at once.
	Wait time.Duration
	// Progress is how often a waiting call's client hears of it, from the
	// beginning on; 0 = every 10 s.
	Progress time.Duration
	Slug     string
	// Routes returns the live table and its generation, for what is allowed
	// already. Nil, and a nil table, mean that it is not known.
	Routes func() (*routes.Table, int)
	// Version is told to clients.
	Version string

	Scanner *secretscan.Scanner
	Audit   *audit.Log
	Health  *health.Role
	// Log is discarded when nil.
	Log *slog.Logger
}

// Role is the run loop. It also serves other roles' proposals, through Queue.
type Role struct {
	c       Config
	queue   *proposal.Queue
	handler http.Handler
	waiters chan struct{} // a place for each call that may wait
}

// lifeKey is the key, in a request's context, of a context that ends when
// waiting calls have to answer.
type lifeKey struct{}

const (
	maxConnections = 256
	maxWaiters     = 64
	expireInterval = time.Minute
	// shutdownGrace is how long open calls get to fetch their last answer.
	shutdownGrace = 3 * time.Second
)

// New opens the queue; Run serves it.
func New(c Config) (*Role, error) {
	if len(c.Listeners) == 0 {
		return nil, errors.New("supervise: no listener")
	}
	if c.Progress <= 0 {
		c.Progress = progressInterval
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Routes == nil {
		c.Routes = func() (*routes.Table, int) { return nil, 0 }
	}
	r := &Role{c: c, waiters: make(chan struct{}, maxWaiters)}
	var err error
	r.queue, err = proposal.Create(c.Queue, proposal.Options{
		Slug: c.Slug, Redact: c.Scanner.Redact, Report: r.forged, Filing: r.filing,
	})
	if err != nil {
		return nil, fmt.Errorf("supervise: %w", err)
	}
	mcpServer := server.NewMCPServer("claude-bottle-supervise", c.Version,
		server.WithToolCapabilities(false), server.WithLogging(), server.WithRecovery(),
		server.WithInstructions(instructions))
	mcpServer.AddTools(r.tools()...)
	r.handler = newGuard(c.Slug, c.Listeners, newSessions(server.NewStreamableHTTPServer(mcpServer,
		server.WithStateLess(true), // sessions are ours, see there
		server.WithEventStore(newEvents(maxEventBytes)),
		server.WithDisableLocalhostProtection(true), // guard knows the bottle's names, it does not
		server.WithStreamableHTTPLogger(c.Log),
	)))
	return r, nil
}

// Queue is where other roles file their proposals.
func (r *Role) Queue() *proposal.Queue { return r.queue }

// Run serves until ctx ends; calls that wait then answer "pending". Open
// proposals stay in the queue. Run may be called again after it returned.
func (r *Role) Run(ctx context.Context) error {
	life, end := context.WithCancel(context.Background())
	defer end()
	srv := &http.Server{
		Handler:           r.handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), lifeKey{}, life)
		},
		ErrorLog: slog.NewLogLogger(r.c.Log.Handler(), slog.LevelWarn),
	}
	defer srv.Close()
	served := make(chan error, len(r.c.Listeners))
	for _, l := range r.c.Listeners {
		go func() { served <- srv.Serve(netutil.LimitListener(l, maxConnections)) }()
	}
	r.c.Health.Set(health.Ready)
	tick := time.NewTicker(expireInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			end()
			grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
			defer cancel()
			if err := srv.Shutdown(grace); err != nil {
				r.c.Log.Warn("some calls were cut off at the stop", "error", err.Error())
			}
			return nil
		case err := <-served:
			return fmt.Errorf("supervise: %w", err)
		case now := <-tick.C:
			r.expire(now)
		}
	}
}

func (r *Role) expire(now time.Time) {
	expired, err := r.queue.Expire(now.Add(-proposal.Lifetime), "nobody answered within 24 hours")
	for _, p := range expired {
		err = errors.Join(err, r.record(p, string(proposal.Expired), nil))
	}
	if err != nil {
		r.c.Log.Error("proposals could not be expired", "error", r.c.Scanner.Redact(err.Error()))
	}
}

func (r *Role) filing(p proposal.Proposal) error {
	r.c.Log.Info("proposal", "proposal", p.ID, "kind", string(p.Kind))
	return r.record(p, "filed", nil)
}

// forged makes a file known that is not what it should be.
func (r *Role) forged(err error) {
	text := r.c.Scanner.Redact(err.Error())
	r.c.Log.Warn("a file in the queue was refused", "error", text)
	record := audit.Record{Actor: roleName, Action: "proposal", Decision: "refused", Detail: map[string]any{"error": text}}
	if err := r.c.Audit.Append(record); err != nil {
		r.c.Log.Error("the audit log is not written", "error", err.Error())
	}
}

const roleName = "supervise"

// record writes what became of a proposal.
func (r *Role) record(p proposal.Proposal, decision string, answer *proposal.Response) error {
	detail := map[string]any{"proposal": p.ID, "kind": string(p.Kind), "rule": p.Rule, "review": p.Review}
	if answer != nil {
		detail["operator"], detail["notes"] = r.shown(answer.Operator), r.shown(answer.Notes)
	}
	return r.c.Audit.Append(audit.Record{Actor: roleName, Action: "proposal", Decision: decision, Detail: detail})
}
