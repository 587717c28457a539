package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/internal/pkitest"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/roles/pipelock/config"
	"github.com/claude-bottle/claude-bottle/state"
)

const (
	standIn     = "bin/pipelock-standin"
	changedSlug = "changed"
	changes     = 50 // approvals, and as many revocations
	beside      = 4  // clients that request all the while
)

// changed is a bundle of all filters that is changed while it works, as control
// sees one.
type changed struct {
	dir state.Dir
	pid int
	way way
}

// ReadFile implements control.Bottle, and so do the others.
func (c *changed) ReadFile(_ context.Context, name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(c.dir.In(), name))
}

func (c *changed) WriteFile(_ context.Context, name string, content []byte) error {
	return os.WriteFile(filepath.Join(c.dir.In(), name), content, 0o600)
}

func (c *changed) Signal(_ context.Context, s os.Signal) error {
	return syscall.Kill(c.pid, s.(syscall.Signal))
}

func (c *changed) Health(ctx context.Context) ([]byte, error) {
	_, body, err := health.Probe(ctx, "unix:"+c.socket())
	return body, err
}

func (c *changed) socket() string { return filepath.Join(c.dir.Run(), "health.sock") }

// changeFigures tells how long approvals and revocations take to be in force
// while clients send requests through the bundle, and how many of those failed.
func (l *lab) changeFigures(ctx context.Context) ([]figure, error) {
	c, err := l.startChanged(ctx)
	if err != nil {
		return nil, err
	}
	var (
		all              sync.WaitGroup
		requests, failed [beside]int
		end              = make(chan struct{})
	)
	for i := range beside {
		all.Go(func() {
			client := c.way.client(false)
			defer client.CloseIdleConnections()
			for {
				select {
				case <-end:
					return
				default:
				}
				requests[i]++
				if get(ctx, client, l.origin+"/hello") != nil {
					failed[i]++
				}
			}
		})
	}
	took, err := c.change(ctx, state.Home(l.path("changes")))
	close(end)
	all.Wait()
	if err != nil {
		return nil, err
	}
	sum := func(list [beside]int) (n int) {
		for _, i := range list {
			n += i
		}
		return n
	}
	p50 := middle(took)
	return []figure{
		{"approve or revoke to effect, p50 ms", fmt.Sprintf("%.0f", milliseconds(p50)), fmt.Sprintf("%d changes with the firewall's stand-in, beside %d requests", len(took), sum(requests))},
		{"approve or revoke to effect, worst ms", fmt.Sprintf("%.0f", milliseconds(slices.Max(took))), ""},
		{"requests that failed meanwhile", strconv.Itoa(sum(failed)), "budget 0"},
	}, nil
}

// change approves a proposal and revokes it, many times.
func (c *changed) change(ctx context.Context, home state.Home) (took []time.Duration, err error) {
	q, err := proposal.Create(c.dir.Queue(), proposal.Options{Slug: changedSlug})
	if err != nil {
		return nil, err
	}
	defer q.Close()
	operator := control.For(c, control.Options{Home: home, Slug: changedSlug, Name: "bench"})
	timed := func(act func() (control.Outcome, error)) error {
		start := time.Now()
		_, err := act()
		took = append(took, time.Since(start))
		return err
	}
	for i := range changes {
		draft, err := proposal.AskEgress(fmt.Sprintf("host%d.example", i), nil, nil, "measured")
		if err != nil {
			return nil, err
		}
		p, _, err := q.Add(draft)
		if err != nil {
			return nil, err
		}
		if err := timed(func() (control.Outcome, error) { return operator.Approve(ctx, p.ID, p.Review, control.Terms{}) }); err != nil {
			return nil, fmt.Errorf("approve: %w", err)
		}
		if err := timed(func() (control.Outcome, error) { return operator.Revoke(ctx, p.ID) }); err != nil {
			return nil, fmt.Errorf("revoke: %w", err)
		}
	}
	return took, nil
}

// startChanged starts the bundle with egress and the firewall's stand-in.
func (l *lab) startChanged(ctx context.Context) (*changed, error) {
	dir, err := state.Home(l.path("changes")).Create(changedSlug)
	if err != nil {
		return nil, err
	}
	c := &changed{dir: dir}
	if err := l.changedInputs(dir); err != nil {
		return nil, err
	}
	program, err := os.ReadFile(standIn)
	if err != nil {
		return nil, err
	}
	path, err := filepath.Abs(standIn)
	if err != nil {
		return nil, err
	}
	pin := sha256.Sum256(program)
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "bin/sidecars")
	cmd.Env = []string{
		"CLAUDE_BOTTLE_SIDECAR_DAEMONS=egress,pipelock",
		"CLAUDE_BOTTLE_SLUG=" + changedSlug,
		"CLAUDE_BOTTLE_HEALTH_LISTEN=unix:" + c.socket(),
		"CLAUDE_BOTTLE_AUDIT=" + dir.Audit(),
		"EGRESS_LISTEN=" + address,
		"EGRESS_ROUTES=" + dir.Routes(),
		"EGRESS_CA_CERT=" + dir.CACert(), "EGRESS_CA_KEY=" + dir.CAKey(),
		"EGRESS_UPSTREAM_CA=" + l.path("origin-ca.pem"),
		"PIPELOCK_LISTEN=unix:" + filepath.Join(dir.Run(), "pipelock.sock"),
		"PIPELOCK_CONFIG=" + dir.Pipelock(),
		"PIPELOCK_CA_CERT=" + dir.PipelockCACert(), "PIPELOCK_CA_KEY=" + dir.PipelockCAKey(),
		"PIPELOCK_BIN=" + path,
		"PIPELOCK_SHA256=" + hex.EncodeToString(pin[:]),
		"TMPDIR=" + dir.Run(),
	}
	out, err := l.start(ctx, cmd)
	if err != nil {
		return nil, err
	}
	go io.Copy(io.Discard, out)
	c.pid = cmd.Process.Pid
	if err := ready(ctx, c.socket()); err != nil {
		return nil, err
	}
	roots, err := rootsOf(dir.CACert())
	c.way = way{"changed", &url.URL{Scheme: "http", Host: address}, roots}
	return c, err
}

// changedInputs writes the authorities and both filters' files.
func (l *lab) changedInputs(dir state.Dir) error {
	files := make(map[string][]byte)
	for _, path := range []string{dir.CACert(), dir.PipelockCACert()} {
		ca, err := pkitest.New(filepath.Base(path))
		if err != nil {
			return err
		}
		files[path] = ca.CertPEM()
		if files[strings.TrimSuffix(path, ".pem")+"-key.pem"], err = ca.KeyPEM(); err != nil {
			return err
		}
	}
	port, err := strconv.ParseUint(l.port, 10, 16)
	if err != nil {
		return err
	}
	table, err := routes.New([]routes.Route{{
		Host: "localhost", Ports: []uint16{uint16(port)}, Pipelock: routes.Passthrough,
		Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	}})
	if err != nil {
		return err
	}
	files[dir.Routes()] = table.Render()
	if files[dir.Pipelock()], err = config.Render(table, config.Options{}); err != nil {
		return err
	}
	for path, content := range files {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
