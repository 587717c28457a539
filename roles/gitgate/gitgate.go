// Package gitgate is the agent's only way to its git remotes. It speaks git's
// smart HTTP: fetches are relayed to the upstream, fresh each time; pushes are
// taken in whole, read strictly, scanned, and only then passed on. Nothing is
// mirrored and nothing in a push changes the verdict on it.
package gitgate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/internal/gitpack"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/gitgate/config"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// judgedAtOnce is how many pushes are read or compared at a time; each may take
// the memory of Limits.Pack.
const judgedAtOnce = 2

// defaultHold is how long a push that changes what CI runs waits for the
// operator.
const defaultHold = 20 * time.Second

// Config of New.
type Config struct {
	// Listeners face the agent. Run closes them.
	Listeners []net.Listener
	// ConfigPath is the repositories' file.
	ConfigPath string
	// Tokens are the values of the token_env names in it.
	Tokens map[string]string
	// HTTPClient reaches HTTPS upstreams; nil = one that trusts the system's
	// roots and uses no proxy. Redirects are never followed: the upstream is
	// the one that is named.
	HTTPClient *http.Client
	// Slug is the bottle's identity in proposals.
	Slug string
	// Queue is the folder of the proposal queue, made if need be; empty =
	// nobody can be asked, and what needs an answer is refused.
	Queue string
	// Hold is how long a push that changes what CI runs waits for the operator
	// before it is refused as pending; 0 = 20 s. One with a secret never waits.
	Hold time.Duration
	// SpoolDir is where pushes lie while they are judged, without a name;
	// empty = the system's folder for temporary files.
	SpoolDir string
	Limits   Limits

	// Scanner is needed. Its key must outlive the process, or approvals of
	// findings do not (secretscan.WithKey).
	Scanner *secretscan.Scanner
	// Audit is needed.
	Audit  *audit.Log
	Health *health.Role
	Log    *slog.Logger
}

// Limits of a push. A zero field is the default.
type Limits struct {
	// PushBytes is the most bytes of one push; 1 GiB. AllBytes is the most of
	// all that are judged at a time; 2 GiB.
	PushBytes, AllBytes int64
	// Time is the longest that reading and scanning may take; 5 minutes.
	Time time.Duration
	Pack gitpack.Limits
}

func (l Limits) withDefaults() Limits {
	l.PushBytes = cmp.Or(l.PushBytes, 1<<30)
	l.AllBytes = cmp.Or(l.AllBytes, 2<<30)
	l.Time = cmp.Or(l.Time, 5*time.Minute)
	return l
}

// Role is the git gate.
type Role struct {
	listeners    []net.Listener
	repositories map[string]*repository
	sha256       string
	spool        *spool
	limits       Limits
	approvals    *approvals
	judging      chan struct{} // one for each push that is read or compared

	scanner *secretscan.Scanner
	audit   *audit.Log
	health  *health.Role
	log     *slog.Logger
}

// repository is one declared remote.
type repository struct {
	name     string
	rules    config.Repo
	upstream upstream
	memory   memory
	offers   offers
}

// New reads the configuration. Its errors are ones no restart cures.
func New(c Config) (*Role, error) {
	if c.Scanner == nil || c.Audit == nil {
		return nil, errors.New("git-gate needs a scanner and an audit log")
	}
	content, err := os.ReadFile(c.ConfigPath)
	if err != nil {
		return nil, fmt.Errorf("git-gate's configuration: %w", err)
	}
	parsed, err := config.Parse(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.ConfigPath, err)
	}
	r := &Role{
		listeners:    c.Listeners,
		repositories: make(map[string]*repository),
		sha256:       sha256Hex(content),
		limits:       c.Limits.withDefaults(),
		scanner:      c.Scanner,
		audit:        c.Audit,
		health:       c.Health,
		log:          c.Log,
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.judging = make(chan struct{}, judgedAtOnce)
	r.spool = &spool{dir: c.SpoolDir, most: r.limits.PushBytes, mostInAll: r.limits.AllBytes}
	r.approvals, err = newApprovals(c.Queue, proposal.Options{
		Slug: c.Slug, Redact: c.Scanner.Redact,
		Report: func(err error) { r.log.Warn("a file in the queue was refused", "error", c.Scanner.Redact(err.Error())) },
	}, c.Audit, cmp.Or(c.Hold, defaultHold))
	if err != nil {
		return nil, err
	}
	client := c.HTTPClient
	if client == nil {
		client = &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSHandshakeTimeout: dialTimeout}}
	}
	stays := *client
	stays.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for name, repo := range parsed.Repos {
		u, err := newUpstream(repo, filepath.Dir(c.ConfigPath), c.Tokens, &stays)
		if err != nil {
			return nil, fmt.Errorf("repository %s: %w", name, err)
		}
		r.repositories[name] = &repository{name: name, rules: repo, upstream: u}
	}
	return r, nil
}

// Run serves until ctx ends.
func (r *Role) Run(ctx context.Context) error {
	server := &http.Server{
		Handler:           r.handler(),
		ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:          slog.NewLogLogger(r.log.Handler(), slog.LevelDebug),
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range r.listeners {
		group.Go(func() error {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
	}
	r.health.InForce(r.sha256)
	r.health.Set(health.Ready)
	<-ctx.Done()
	server.Close()
	for _, repo := range r.repositories {
		repo.upstream.close()
	}
	return group.Wait()
}

// newUpstream makes the remote that a repository's URL names.
func newUpstream(repo config.Repo, dir string, tokens map[string]string, client *http.Client) (upstream, error) {
	remote, err := config.ParseURL(repo.URL)
	if err != nil {
		return nil, err
	}
	if remote.Scheme == "https" {
		u := &httpUpstream{url: "https://" + remote.Address() + remote.Path, client: client}
		if repo.TokenEnv != "" {
			if u.token = tokens[repo.TokenEnv]; u.token == "" {
				return nil, fmt.Errorf("the variable %s is not set", repo.TokenEnv)
			}
		}
		return u, nil
	}
	key, err := config.ParseHostKey(repo.HostKey, remote)
	if err != nil {
		return nil, err
	}
	identity := repo.Identity
	if !filepath.IsAbs(identity) {
		identity = filepath.Join(dir, identity)
	}
	return &sshUpstream{
		user:     remote.User,
		address:  remote.Address(),
		path:     remote.Path,
		identity: identity,
		hostKey:  key,
		slots:    make(chan struct{}, sessionsPerConnection),
	}, nil
}

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
