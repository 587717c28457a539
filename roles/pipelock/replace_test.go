package pipelock

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/health"
)

// pooled keeps connections as egress does: those of another epoch end with the
// request they carry.
type pooled struct {
	l        *lab
	inspects bool
	mu       sync.Mutex
	epoch    uint64
	client   *http.Client
}

func (p *pooled) get(host string) error {
	p.mu.Lock()
	if epoch := p.l.role.Epoch(); p.client == nil || epoch != p.epoch {
		if p.client != nil {
			p.client.CloseIdleConnections()
		}
		p.epoch, p.client = epoch, p.l.client(p.inspects, p.l.role.Dial)
	}
	client := p.client
	p.mu.Unlock()
	_, err := p.l.get(client, p.l.url(host))
	return err
}

func (p *pooled) close() { p.client.CloseIdleConnections() }

func TestHundredReplacementsLoseNoRequest(t *testing.T) {
	l := newLab(t)
	l.start()
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var done, failed atomic.Int64
	for i := range 6 {
		host := []string{allowed, inspected}[i%2]
		pool := &pooled{l: l, inspects: host == inspected}
		fresh := l.client(host == inspected, l.role.Dial)
		fresh.Transport.(*http.Transport).DisableKeepAlives = true
		clients.Go(func() {
			defer pool.close()
			for ctx.Err() == nil {
				err := pool.get(host)
				if i >= 4 {
					_, err = l.get(fresh, l.url(host))
				}
				if err != nil {
					failed.Add(1)
					t.Errorf("request %d: %v", done.Load(), err)
				}
				done.Add(1)
			}
		})
	}
	first := l.report().PID
	for range 100 {
		seen := done.Load()
		l.role.Replace()
		l.until("requests go on", func() bool { return done.Load() > seen })
	}
	l.until("replacements happened", func() bool { return l.role.Epoch() > 5 })
	stop()
	clients.Wait()
	t.Logf("%d requests through %d children, %d failed", done.Load(), l.role.Epoch(), failed.Load())
	// The last wish may still be on its way: one child may be all there is
	// before its successor starts.
	var living []int
	var named int
	l.until("one child is left and health names it", func() bool {
		living, named = l.children(), l.report().PID
		return len(l.role.replace) == 0 && len(living) == 1 && living[0] == named
	})
	if named == first {
		t.Errorf("the first child, %d, is still in force", first)
	}
	if n := l.report().Restarts; n != 0 {
		t.Errorf("%d restarts counted", n)
	}
}

// open starts a stream through the role and returns how to send a line and
// read it back.
func (l *lab) open(host string) (echo func(string) error) {
	l.t.Helper()
	reader, writer := io.Pipe()
	l.t.Cleanup(func() { writer.Close() })
	client := l.client(host == inspected, l.role.Dial)
	response, err := client.Post(l.url(host)+"stream", "text/plain", reader)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { response.Body.Close() })
	lines := bufio.NewReader(response.Body)
	return func(line string) error {
		if _, err := io.WriteString(writer, line+"\n"); err != nil {
			return err
		}
		got, err := lines.ReadString('\n')
		if err == nil && got != line+"\n" {
			err = fmt.Errorf("got %q", got)
		}
		return err
	}
}

func TestStreamSurvivesReplacement(t *testing.T) {
	l := newLab(t)
	l.start()
	old := l.report().PID
	echo := l.open(allowed)
	if err := echo("before"); err != nil {
		t.Fatal(err)
	}
	l.replaced()
	if err := echo("after"); err != nil {
		t.Errorf("the stream broke: %v", err)
	}
	if pids := l.children(); len(pids) != 2 || !slices.Contains(pids, old) {
		t.Errorf("living children %v, want the old %d and one more", pids, old)
	}
}

func TestDrainHasALimit(t *testing.T) {
	l := newLab(t)
	l.config.DrainLimit = 50 * time.Millisecond
	l.start()
	echo := l.open(allowed)
	if err := echo("before"); err != nil {
		t.Fatal(err)
	}
	l.replaced()
	l.until("the old child is stopped", func() bool { return len(l.children()) == 1 })
	if err := echo("after"); err == nil {
		t.Error("the stream outlived its child")
	}
	l.mustGet(l.client(false, l.role.Dial), allowed)
}

func TestChildrenAreBounded(t *testing.T) {
	l := newLab(t)
	l.config.RoomWait = 100 * time.Millisecond
	l.start()
	var echoes []func(string) error
	for range maxDraining {
		echoes = append(echoes, l.open(allowed))
		l.replaced()
	}
	last := l.open(allowed)
	if n := len(l.children()); n != maxDraining+1 {
		t.Fatalf("%d children, want %d", n, maxDraining+1)
	}
	l.replaced() // waits for room and then takes the oldest one's
	if n := len(l.children()); n > maxDraining+1 {
		t.Errorf("%d children, want at most %d", n, maxDraining+1)
	}
	if err := echoes[0]("x"); err == nil {
		t.Error("the oldest was to make room")
	}
	for i, echo := range append(echoes[1:], last) {
		if err := echo("x"); err != nil {
			t.Errorf("stream %d broke: %v", i+1, err)
		}
	}
}

func TestReplacementTakesTheNewAllowlist(t *testing.T) {
	l := newLab(t)
	sum := l.allow(allowed)
	l.start()
	if r := l.report(); r.ConfigSHA256 != sum || r.Generation != 1 {
		t.Errorf("first: %+v, want %s", r, sum)
	}
	client := l.client(false, l.role.Dial)
	forbidden := func() error { _, err := l.get(client, l.url(denied)); return err }
	l.mustNotReach("before", forbidden, "Forbidden")

	sum = l.allow(denied)
	l.mustNotReach("before the signal", forbidden, "Forbidden") // the child has its own copy
	l.replaced()
	if r := l.report(); r.ConfigSHA256 != sum || r.Generation != 2 || r.LastError != "" {
		t.Errorf("second: %+v, want %s", r, sum)
	}
	l.mustGet(client, denied)
	l.mustNotReach("after", func() error {
		_, err := l.get(l.client(false, l.role.Dial), l.url(allowed))
		return err
	}, "Forbidden")
}

func TestFailedReplacementKeepsTheOldChild(t *testing.T) {
	for name, spoil := range map[string]func(*lab){
		"broken file":     func(l *lab) { l.write("pipelock.yaml", []byte("mode: [")) },
		"no file":         func(l *lab) { os.Remove(l.config.ConfigPath) },
		"open allowlist":  func(l *lab) { l.replaceInConfig("mode: strict", "mode: balanced") },
		"unknown key":     func(l *lab) { l.replaceInConfig("version: 1", "version: 1\nnonsense: 1") },
		"door of its own": func(l *lab) { l.replaceInConfig("version: 1", "version: 1\nscan_api: {listen: '127.0.0.1:1'}") },
		"exits":           func(l *lab) { l.standIn.Hooks(l.t, "exit 9") },
		"kill switch":     func(l *lab) { l.standIn.Hooks(l.t, "kill-switch") },
		"unhealthy":       func(l *lab) { l.standIn.Hooks(l.t, "never-ready") },
		"CA key is PKCS#8": func(l *lab) {
			l.write("ca-key.pem", []byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.config.StartTimeout = 4 * time.Second // the first child's too
			ended := l.start()
			before := l.report()
			spoil(l)
			l.role.Replace()
			l.until("the failure is told", func() bool { return l.report().LastError != "" })
			after := l.report()
			if after.PID != before.PID || after.Generation != 1 || after.ConfigSHA256 != before.ConfigSHA256 || after.State != health.Ready {
				t.Errorf("report changed: %+v, was %+v", after, before)
			}
			if pids := l.children(); len(pids) != 1 || pids[0] != before.PID {
				t.Errorf("living children %v, want %d alone", pids, before.PID)
			}
			l.mustGet(l.client(false, l.role.Dial), allowed)
			select {
			case err := <-ended:
				t.Errorf("the role ended: %v", err)
			default:
			}
			t.Log(after.LastError)
		})
	}
}

func (l *lab) replaceInConfig(old, fresh string) {
	l.t.Helper()
	b, err := os.ReadFile(l.config.ConfigPath)
	if err != nil || !strings.Contains(string(b), old) {
		l.t.Fatal(err, "no "+old)
	}
	l.write("pipelock.yaml", []byte(strings.Replace(string(b), old, fresh, 1)))
}

func TestSlowReplacementKeepsServing(t *testing.T) {
	l := newLab(t)
	l.start()
	l.standIn.Hooks(t, append(l.names(), "slow-start 300ms")...)
	client := l.client(false, l.role.Dial)
	before := l.role.Epoch()
	l.role.Replace()
	for l.role.Epoch() == before {
		l.mustGet(client, allowed)
	}
	l.mustGet(l.client(false, l.role.Dial), allowed)
}

func TestReplaceWithoutRunIsForgotten(t *testing.T) {
	l := newLab(t)
	role, err := New(l.config)
	if err != nil {
		t.Fatal(err)
	}
	role.Replace() // before Run
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- role.Run(ctx) }()
	l.until("ready", func() bool { return l.report().State == health.Ready })
	cancel()
	role.Replace() // while it stops
	if err := <-ended; err != nil {
		t.Errorf("a clean stop: %v", err)
	}
	role.Replace() // after Run
	if n := l.report().Generation; n != 1 || len(l.children()) != 0 {
		t.Errorf("generation %d, children %v; want one child ever", n, l.children())
	}
	if _, err := role.Dial(t.Context()); !errors.Is(err, ErrNoChild) {
		t.Errorf("dial without a child: %v, want %v", err, ErrNoChild)
	}
}
