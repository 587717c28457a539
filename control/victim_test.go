package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/state"
)

// victimVariable makes the test binary an operator's program that is killed.
const victimVariable = "CONTROL_TEST_VICTIM"

// order is what a victim does, and where it dies.
type order struct {
	Home       state.Home
	PID        int
	Act        string // "approve", "allow" or "reject"
	ID, Review string
	Point      string
	Nth        int // how often Point is passed before
}

// victim carries out an order. It ends by SIGKILL, or tells that it came too far.
func victim() {
	var o order
	if err := json.Unmarshal([]byte(os.Getenv(victimVariable)), &o); err != nil {
		panic(err)
	}
	b := &bottle{dir: o.Home.Dir(slug), pid: o.PID}
	op := control.For(b, control.Options{Home: o.Home, Slug: slug, Name: "op"}).OnPoint(func(point string) {
		if point != o.Point {
			return
		}
		if o.Nth--; o.Nth < 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	var err error
	switch o.Act {
	case "approve":
		_, err = op.Approve(context.Background(), o.ID, o.Review, control.Terms{})
	case "allow":
		_, err = op.Allow(context.Background(), "new.test")
	case "reject":
		_, err = op.Reject(context.Background(), o.ID, o.Review, "no need")
	}
	fmt.Println("not killed:", err)
	os.Exit(0)
}

// sacrifice runs a victim and makes sure that it was killed.
func (l *lab) sacrifice(o order) {
	l.t.Helper()
	o.Home, o.PID = l.home, l.cmd.Process.Pid
	content, err := json.Marshal(o)
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimVariable+"="+string(content))
	out, _ := cmd.CombinedOutput()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		l.t.Fatalf("the victim lives: %s", out)
	}
}

// delivered counts how often the bundle recorded an answer as told.
func (l *lab) delivered(id string) (n int) {
	l.t.Helper()
	err := audit.Read(l.dir.Audit(), func(e audit.Entry) error {
		if e.Actor == "supervise" && e.Action == "proposal" && e.Decision != "filed" && strings.Contains(string(e.Detail), id) {
			n++
		}
		return nil
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}

// TestKilledAnywhere kills the operator's program at each point of a decision.
// The next one completes it, the agent that waited all the time is told once,
// and nothing is lost.
func TestKilledAnywhere(t *testing.T) {
	l := newLab(t)
	client := l.mcp()
	for i, point := range []string{
		"written down", "decided", "written pipelock", "signalled pipelock", "confirmed pipelock",
		"written egress", "signalled egress", "confirmed egress", "answered",
	} {
		host := []string{"new.test", "other.test"}[i%2]
		asked := l.ask(client, "egress-block", map[string]any{"host": host, "justification": "until " + point})
		l.sacrifice(order{Act: "approve", ID: asked.ID, Review: asked.review(), Point: point})
		if !control.Unfinished(l.dir) {
			t.Errorf("%s: nothing is unfinished", point)
		}
		if point != "answered" {
			select {
			case told := <-asked.told:
				t.Fatalf("%s: told %+v before the change was confirmed", point, told)
			default:
			}
		}
		done, err := l.operator().Recover(t.Context())
		if err != nil || done != "completed: approve "+asked.ID {
			t.Fatalf("%s: %q, %v", point, done, err)
		}
		if told := <-asked.told; told.Status != proposal.Approved || told.ProposalID != asked.ID {
			t.Errorf("%s: told %+v", point, told)
		}
		l.wantHosts(host)
		if n := l.delivered(asked.ID); n != 1 || len(l.waiting()) != 0 || control.Unfinished(l.dir) {
			t.Errorf("%s: delivered %d times, %d wait", point, n, len(l.waiting()))
		}
		if _, err := l.operator().Revoke(t.Context(), asked.ID); err != nil {
			t.Fatal(err)
		}
	}
	asked := l.askHost(client, "new.test")
	for _, point := range []string{"written down", "decided"} {
		l.sacrifice(order{Act: "reject", ID: asked.ID, Review: asked.review(), Point: point})
		if done, err := l.operator().Recover(t.Context()); err != nil || done != "completed: reject "+asked.ID {
			t.Errorf("%q, %v", done, err)
		}
		if told := <-asked.told; told.Status != proposal.Rejected || told.Notes != "no need" {
			t.Errorf("told %+v", told)
		}
		asked = l.ask(client, "egress-block", map[string]any{"host": "new.test", "justification": "please, after " + point})
	}
}

// TestKilledBeforeAnotherChange: whoever comes next finishes it first, so that
// neither change is lost.
func TestKilledBeforeAnotherChange(t *testing.T) {
	l := newLab(t)
	for _, point := range []string{"written down", "written pipelock", "written egress", "confirmed egress"} {
		l.sacrifice(order{Act: "allow", Point: point})
		if _, err := l.operator().Allow(t.Context(), "other.test"); err != nil {
			t.Fatalf("%s: %v", point, err)
		}
		l.wantHosts("new.test", "other.test")
		if _, err := l.operator().Deny(t.Context(), "new.test", "other.test"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKilledWhileTakingBack: a change that failed is not completed later.
func TestKilledWhileTakingBack(t *testing.T) {
	l := newLab(t)
	asked := l.askHost(l.mcp(), "new.test")
	l.standIn.Hooks(t, append(l.hooks, "exit 7")...)
	l.sacrifice(order{Act: "approve", ID: asked.ID, Review: asked.review(), Point: "written pipelock", Nth: 1})
	l.standIn.Hooks(t, l.hooks...)
	done, err := l.operator().Recover(t.Context())
	if err != nil || !strings.HasPrefix(done, "taken back: approve "+asked.ID) {
		t.Errorf("%q, %v", done, err)
	}
	l.wantHosts()
	if open := l.waiting(); len(open) != 1 || open[0].Decision != nil || control.Unfinished(l.dir) {
		t.Errorf("open: %+v", open)
	}
}

// TestKilledTogether: operator's program and bundle die in the middle of a
// change, in the middle of a write.
func TestKilledTogether(t *testing.T) {
	l := newLab(t)
	asked := l.askHost(l.mcp(), "new.test")
	l.sacrifice(order{Act: "approve", ID: asked.ID, Review: asked.review(), Point: "written egress"})
	whole := l.read(l.dir.Routes())
	l.write(l.dir.Routes(), []byte(whole[:len(whole)-40]+"{")) // as a write in place leaves it
	if done, err := l.operator().Recover(t.Context()); err != nil || !strings.HasPrefix(done, "completed") {
		t.Errorf("%q, %v", done, err)
	}
	l.wantHosts("new.test")

	asked = l.askHost(l.mcp(), "other.test")
	l.sacrifice(order{Act: "approve", ID: asked.ID, Review: asked.review(), Point: "signalled egress"})
	l.kill()
	if _, err := l.operator().Recover(t.Context()); err == nil || !control.Unfinished(l.dir) {
		t.Errorf("recovered without a bundle: %v", err)
	}
	l.start()
	if done, err := l.operator().Recover(t.Context()); err != nil || !strings.HasPrefix(done, "completed") {
		t.Errorf("%q, %v", done, err)
	}
	l.wantHosts("new.test", "other.test")
	if a := l.mcp().call("check-proposal", map[string]any{"proposal_id": asked.ID}); a.Status != proposal.Approved {
		t.Errorf("told %+v", a)
	}
}

// TestKilledAndOvertaken: what the world has gone past is not completed.
func TestKilledAndOvertaken(t *testing.T) {
	l := newLab(t)
	for what, overtake := range map[string]func(asking){
		"given up": func(asking) {
			l.write(l.dir.Routes(), []byte(l.read(l.dir.Routes())+"# edited by hand\n"))
			if err := l.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		},
		"taken back": func(a asking) { // it expired meanwhile
			q, err := proposal.Open(l.dir.Queue(), slug)
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			if err := q.RollBack(a.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := q.Expire(time.Now().Add(time.Hour), "over"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		asked := l.ask(l.mcp(), "egress-block", map[string]any{"host": "new.test", "justification": "until it is " + what})
		l.sacrifice(order{Act: "approve", ID: asked.ID, Review: asked.review(), Point: "decided"})
		overtake(asked)
		if done, err := l.operator().Recover(t.Context()); err != nil || !strings.HasPrefix(done, what) {
			t.Errorf("%s: %q, %v", what, done, err)
		}
		l.eventually("what is in force settles", func() bool {
			return l.health().Roles["egress"].ConfigSHA256 == digest(l.read(l.dir.Routes()))
		})
		l.wantHosts()
		if control.Unfinished(l.dir) {
			t.Errorf("%s: something is left", what)
		}
		if open := l.waiting(); len(open) > 0 {
			if _, err := l.operator().Reject(t.Context(), asked.ID, asked.review(), "no"); err != nil {
				t.Error(err)
			}
		}
		<-asked.told
	}
}
