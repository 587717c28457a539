package control_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/proposal"
)

// TestAFailedApprovalTakesEverythingBack tries each way in which applying can
// fail. The agent hears nothing, the proposal stays open, the files and what is
// in force are those of before, and once the cause is gone the same approval
// goes through.
func TestAFailedApprovalTakesEverythingBack(t *testing.T) {
	for name, fail := range map[string]struct {
		cause func(*lab, *bottle)
		words string
		cure  func(*lab)
	}{
		"the firewall refuses the new configuration": {
			func(l *lab, _ *bottle) { l.standIn.Hooks(l.t, append(l.hooks, "exit 7")...) },
			"pipelock refused it",
			func(l *lab) { l.standIn.Hooks(l.t, l.hooks...) },
		},
		"the firewall refuses it in the words of its last refusal": {
			func(l *lab, b *bottle) {
				l.standIn.Hooks(l.t, append(l.hooks, "exit 7")...)
				if err := b.Signal(l.t.Context(), syscall.SIGUSR1); err != nil {
					l.t.Fatal(err)
				}
				l.eventually("the first refusal", func() bool { return l.health().Roles["pipelock"].LastError != "" })
			},
			"pipelock refused it",
			func(l *lab) { l.standIn.Hooks(l.t, l.hooks...) },
		},
		"the routes cannot be written": {
			func(_ *lab, b *bottle) {
				b.writing = func(name string) error {
					if name == "routes.yaml" {
						return &os.PathError{Op: "open", Path: name, Err: syscall.EROFS}
					}
					return nil
				}
			},
			"read-only file system", nil,
		},
		"nothing can be written": {
			func(_ *lab, b *bottle) {
				b.writing = func(name string) error { return &os.PathError{Op: "open", Path: name, Err: syscall.EROFS} }
			},
			"read-only file system", nil,
		},
		"the second signal does not arrive": {
			func(_ *lab, b *bottle) {
				b.signalled = func(s os.Signal) error {
					if s == syscall.SIGHUP {
						return errors.New("nobody is there")
					}
					return nil
				}
			},
			"nobody is there", nil,
		},
		"somebody writes another file": {
			func(l *lab, b *bottle) {
				first := true
				b.signalled = func(s os.Signal) error {
					if s == syscall.SIGHUP && first {
						first = false
						l.write(l.dir.Routes(), []byte("routes: [{hots: a}]"))
					}
					return nil
				}
			},
			"egress refused it", nil,
		},
		"the operator interrupts": {
			func(l *lab, b *bottle) {
				b.signalled = func(s os.Signal) error {
					if s == syscall.SIGHUP {
						l.interrupt()
					}
					return nil
				}
			},
			"canceled", nil,
		},
		"the operator's log is full": {
			func(l *lab, b *bottle) {
				b.signalled = func(s os.Signal) error {
					if s == syscall.SIGHUP { // what stands there is not what the chain ends with
						l.write(l.home.OperatorLog(), []byte("not a chain\n"))
					}
					return nil
				}
			},
			"audit",
			func(l *lab) { os.Remove(l.home.OperatorLog()) },
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			l := newLab(t)
			asked := l.askHost(l.mcp(), "new.test")
			routesBefore, pipelockBefore := l.read(l.dir.Routes()), l.read(l.dir.Pipelock())
			b := l.bottle()
			fail.cause(l, b)
			var ctx context.Context
			ctx, l.interrupt = context.WithCancel(t.Context())
			defer l.interrupt()
			_, err := l.operatorOf(b).Approve(ctx, asked.ID, asked.review(), control.Terms{})
			if err == nil || !strings.Contains(err.Error(), fail.words) {
				t.Fatalf("%v, want %q", err, fail.words)
			}
			if l.read(l.dir.Routes()) != routesBefore || l.read(l.dir.Pipelock()) != pipelockBefore {
				t.Error("the files are not those of before")
			}
			if fail.cure != nil {
				fail.cure(l)
			}
			// A process that could not put things back leaves that to the next.
			if _, err := l.operator().Recover(t.Context()); err != nil {
				t.Error(err)
			}
			l.wantHosts()
			open := l.waiting()
			if len(open) != 1 || open[0].ID != asked.ID || open[0].Decision != nil || control.Unfinished(l.dir) {
				t.Errorf("open: %+v", open)
			}
			select {
			case told := <-asked.told:
				t.Fatalf("the agent was told %+v", told)
			case <-time.After(300 * time.Millisecond):
			}
			if _, err := l.operator().Approve(t.Context(), asked.ID, asked.review(), control.Terms{}); err != nil {
				t.Fatal(err)
			}
			if told := <-asked.told; told.Status != proposal.Approved {
				t.Errorf("told %+v", told)
			}
			l.wantHosts("new.test")
		})
	}
}

// TestADeadBundle: an answer that needs no change can be given, a change cannot,
// and the bundle that comes back runs on the files of before.
func TestADeadBundle(t *testing.T) {
	l := newLab(t)
	asked := l.askHost(l.mcp(), "new.test")
	routesBefore, pipelockBefore := l.read(l.dir.Routes()), l.read(l.dir.Pipelock())

	dying := l.bottle() // between the firewall's turn and egress's
	var death sync.Once
	dying.signalled = func(s os.Signal) error {
		if s == syscall.SIGHUP {
			death.Do(l.kill)
		}
		return nil
	}
	if _, err := l.operatorOf(dying).Approve(t.Context(), asked.ID, asked.review(), control.Terms{}); err == nil {
		t.Error("approved on a bundle that died")
	}
	if _, err := l.operator().Allow(t.Context(), "other.test"); err == nil {
		t.Error("changed on a dead bundle")
	}
	if l.read(l.dir.Routes()) != routesBefore || l.read(l.dir.Pipelock()) != pipelockBefore {
		t.Error("the files are not those of before")
	}
	l.start()
	if _, err := l.operator().Recover(t.Context()); err != nil {
		t.Error(err)
	}
	l.wantHosts()
	if open := l.waiting(); len(open) != 1 || open[0].ID != asked.ID || open[0].Decision != nil {
		t.Fatalf("open: %+v", open)
	}
	if _, err := l.operator().Approve(t.Context(), asked.ID, asked.review(), control.Terms{}); err != nil {
		t.Fatal(err)
	}
	l.wantHosts("new.test")
	again := l.mcp().call("check-proposal", map[string]any{"proposal_id": asked.ID})
	if again.Status != proposal.Approved {
		t.Errorf("after all: %+v", again)
	}
}

// TestFilesThatAreNotInForce: a change must not put more in force than itself.
func TestFilesThatAreNotInForce(t *testing.T) {
	l := newLab(t)
	o := l.operator()
	src := l.read(l.dir.Routes())
	byHand := src + "- host: by-hand.test\n"
	l.write(l.dir.Routes(), []byte(byHand))
	if _, err := o.Allow(t.Context(), "new.test"); !errors.Is(err, control.ErrNotInForce) {
		t.Errorf("allow: %v", err)
	}
	if _, err := o.Hosts(t.Context()); !errors.Is(err, control.ErrNotInForce) {
		t.Errorf("hosts: %v", err)
	}
	if l.read(l.dir.Routes()) != byHand {
		t.Error("the file was changed")
	}
	// The operator's way out is an edit of the whole file, also of one that
	// cannot be read.
	broken := "routes: [{hots: a}]"
	l.write(l.dir.Routes(), []byte(broken))
	if _, err := o.Allow(t.Context(), "new.test"); !errors.Is(err, control.ErrNotInForce) || !strings.Contains(err.Error(), "hots") {
		t.Errorf("allow, on a file that nobody can read: %v", err)
	}
	if _, err := o.SetRoutes(t.Context(), []byte(broken), []byte(src)); err != nil {
		t.Fatal(err)
	}
	l.wantHosts()
}

// TestForgedDecisions: what lies in the queue alone was decided by nobody.
func TestForgedDecisions(t *testing.T) {
	l := newLab(t)
	asked := l.askHost(l.mcp(), "new.test")
	q, err := proposal.Open(l.dir.Queue(), slug)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.Decide(proposal.Response{ProposalID: asked.ID, Review: asked.review(), Status: proposal.Approved, Decided: time.Now().UTC(), Operator: "op"}); err != nil {
		t.Fatal(err)
	}
	if done, err := l.operator().Recover(t.Context()); err != nil || done != "" {
		t.Errorf("%q, %v", done, err)
	}
	l.wantHosts()
	if open := l.waiting(); len(open) != 1 || open[0].Decision != nil {
		t.Errorf("open: %+v", open)
	}
	if _, err := l.operator().Reject(t.Context(), asked.ID, asked.review(), "no"); err != nil {
		t.Fatal(err)
	}
	if told := <-asked.told; told.Status != proposal.Rejected {
		t.Errorf("told %+v", told)
	}
}
