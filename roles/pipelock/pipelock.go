// Package pipelock runs the pinned pipelock program as the bundle's second,
// independent filter, and replaces it without losing a request.
//
// Egress reaches the child through Role.Dial. Nobody else does: it listens on a
// private address, and where egress is in another container, Listeners let the
// proxy requests of those through who know the bearer token.
package pipelock

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

var (
	// ErrPin is matched when the program is absent, is not the pinned one, or
	// no pin is known. No restart cures it.
	ErrPin = errors.New("pipelock pin")
	// ErrConfig is matched when the first child cannot have a configuration:
	// its file or its authority is missing or unfit. No restart cures it.
	ErrConfig = errors.New("pipelock configuration")
)

// Config of a Role.
type Config struct {
	// Bin is the program and SHA256 its pin in hex. Before each start it is
	// hashed, and exactly the bytes that were hashed are run.
	Bin, SHA256 string
	// ConfigPath is pipelock.yaml; each child runs on a private copy.
	ConfigPath string
	// CACertPath and CAKeyPath are the authority of inspected tunnels: PEM,
	// the key EC in SEC1 form, mode 0600 or 0640.
	CACertPath, CAKeyPath string
	// TrustedCAs is a PEM file of all roots that the child trusts for origins;
	// "" = the system's.
	TrustedCAs string
	// Listeners lead to the child, for a bundle without egress; they serve
	// CONNECT, absolute-form requests and GET /health, nothing else. Run
	// closes them.
	Listeners []net.Listener
	// BearerToken is asked for on Listeners, in Proxy-Authorization; "" = no
	// token is needed.
	BearerToken string
	// Start starts a child; nil = (*exec.Cmd).Start.
	Start func(*exec.Cmd) error
	// Secrets are known values that the child, too, must let nowhere. Lines
	// shorter than 16 or longer than 4096 bytes are beyond it.
	Secrets []string
	// Scanner cleans what the child prints; nil knows no secret.
	Scanner *secretscan.Scanner
	// Audit hears of starts, replacements and stops; a child whose start it
	// cannot keep is stopped. nil keeps none.
	Audit *audit.Log
	// Health gets readiness, pid and configurations in force.
	Health *health.Role
	// Log is slog.DiscardHandler when nil.
	Log *slog.Logger
	// OnReplace is called after new connections began to go to another child,
	// so that idle ones to the old child are closed; it must not block. nil =
	// nobody asks.
	OnReplace func()
	// RunDir is an existing private folder for the children's files; "" = one
	// below os.TempDir.
	RunDir string

	// StartTimeout is how long a child may take to become ready; 0 = 10 s.
	StartTimeout time.Duration
	// DrainLimit is how long a replaced child may finish its connections;
	// 0 = 10 minutes.
	DrainLimit time.Duration
	// RoomWait is how long a replacement waits when too many replaced children
	// still live, before the oldest is stopped; 0 = 10 s.
	RoomWait time.Duration
	// StopGrace is how long a child may take to obey SIGTERM; 0 = 3 s.
	StopGrace time.Duration
}

// Role keeps one child ready and the replaced ones until they are idle. Its
// methods are safe for concurrent use.
type Role struct {
	c       Config
	replace chan struct{} // holds one: a replacement is wanted

	mu      sync.Mutex
	current *child        // nil = none is ready
	changed chan struct{} // closed when current changes
	epoch   uint64
}

// New returns a role for Run. It touches nothing yet; what is wrong with the
// files, Run reports.
func New(c Config) (*Role, error) {
	if pin, err := hex.DecodeString(c.SHA256); err != nil || len(pin) != 32 {
		if strings.TrimSpace(c.SHA256) == "" {
			return nil, fmt.Errorf("%w: no SHA-256 of the program is known, so none may run; set PIPELOCK_SHA256", ErrPin)
		}
		return nil, fmt.Errorf("%w: %q is no SHA-256 in hex", ErrPin, c.SHA256)
	}
	c.SHA256 = strings.ToLower(c.SHA256)
	if c.Bin == "" || c.ConfigPath == "" {
		return nil, fmt.Errorf("%w: program and configuration file must be named", ErrConfig)
	}
	if c.Start == nil {
		c.Start = (*exec.Cmd).Start
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.StartTimeout <= 0 {
		c.StartTimeout = 10 * time.Second
	}
	if c.DrainLimit <= 0 {
		c.DrainLimit = 10 * time.Minute
	}
	if c.RoomWait <= 0 {
		c.RoomWait = 10 * time.Second
	}
	if c.StopGrace <= 0 {
		c.StopGrace = 3 * time.Second
	}
	return &Role{c: c, replace: make(chan struct{}, 1), changed: make(chan struct{})}, nil
}

// Replace asks for a new child on the configuration file of that moment. It
// only records the wish: many at once are one, and without a running Run it is
// forgotten.
func (r *Role) Replace() {
	select {
	case r.replace <- struct{}{}:
	default:
	}
}

// Epoch grows whenever new connections begin to go to another child. Who
// pools connections made by Dial should let those of an older epoch end
// when they become idle, so that the replaced child can.
func (r *Role) Epoch() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.epoch
}

// Run starts a child and keeps it until ctx ends; it returns when every child
// is gone. An error that has a method ExitCode() int is the child's death. Run
// may be called again.
func (r *Role) Run(ctx context.Context) error {
	defer closeAll(r.c.Listeners)
	dir, err := os.MkdirTemp(r.c.RunDir, "pipelock-")
	if err != nil {
		return fmt.Errorf("private folder of the child: %w", err)
	}
	defer os.RemoveAll(dir)
	var all sync.WaitGroup // draining children and the door
	defer all.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	select { // a wish from before the first child is fulfilled by it
	case <-r.replace:
	default:
	}
	first, err := r.launch(ctx, dir)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if err := r.putInForce(first, "start"); err != nil {
		first.stop(r.c.StopGrace)
		return err
	}
	for _, l := range r.c.Listeners {
		all.Go(func() { r.serveDoor(ctx, l) })
	}
	return r.keep(ctx, first, dir, &all)
}

func closeAll[T io.Closer](all []T) {
	for _, c := range all {
		c.Close()
	}
}
