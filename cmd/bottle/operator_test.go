package main_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/state"
)

// collector is what reached a host of the internet, told by the host itself.
type collector struct {
	mu  sync.Mutex
	got map[string]int // host and path
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got[r.Host+r.URL.Path]++
	io.WriteString(w, "hello from "+r.Host+"\n")
}

func (c *collector) count(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got[what]
}

// TestOperatorScripts runs the scripts of what an operator does about a live
// bottle: real bottles, on an internet of the test's. Their own commands are
//
//	proposal SLUG NAME    wait for one waiting proposal and put its id into $NAME
//	reached HOST/PATH N   the host was asked so often
func TestOperatorScripts(t *testing.T) {
	got := &collector{got: make(map[string]int)}
	hosts := make(map[string]http.Handler)
	for _, host := range []string{"base", "new", "once", "modified", "saved", "rejected", "timed", "short"} {
		hosts[host+".test"] = got
	}
	net := newInternet(t, hosts)
	standIn := filepath.Join(programs, "pipelock-standin")
	program, err := os.ReadFile(standIn)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/operator",
		Setup: func(env *testscript.Env) error {
			for name, value := range map[string]string{
				"EGRESS_RESOLVER": net.names, "EGRESS_UPSTREAM_PROXY": net.hop, "EGRESS_UPSTREAM_CA": net.caFile,
				"PROGRAMS": programs, "STANDIN": standIn, "STANDIN_SHA256": hex.EncodeToString(sum[:]),
			} {
				env.Setenv(name, value)
			}
			return setUp(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"proposal": awaitProposal,
			"reached": func(ts *testscript.TestScript, _ bool, args []string) {
				if n := got.count(args[0]); fmt.Sprint(n) != args[1] {
					ts.Fatalf("%s was reached %d times, not %s", args[0], n, args[1])
				}
			},
		},
	})
}

func awaitProposal(ts *testscript.TestScript, _ bool, args []string) {
	dir := state.Home(ts.Getenv("CLAUDE_BOTTLE_HOME")).Dir(args[0])
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		waiting, problems, err := control.Waiting(dir)
		if err := errors.Join(append(problems, err)...); err != nil {
			ts.Fatalf("%v", err)
		}
		if len(waiting) == 1 {
			ts.Setenv(args[1], waiting[0].ID)
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%d proposals wait", len(waiting))
		}
	}
}

// TestListedWithinASecond: what an agent files, `bottle proposals ls` shows.
func TestListedWithinASecond(t *testing.T) {
	var listed []struct{ Slug, ID, Kind, Summary, Justification, Review string }
	b := startBottle(t, "listed")
	b.background("exec", b.slug, "--", "/workspace/bottle", "demo", "call", "egress-block", `{"host":"new.test","justification":"now"}`)
	dir := state.Home(b.home).Dir(b.slug)
	for len(listed) == 0 {
		if waiting, _, err := control.Waiting(dir); err != nil || len(waiting) == 0 {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		// The file is there: the very next listing has it.
		if err := json.Unmarshal([]byte(b.run("proposals", "ls", "--json")), &listed); err != nil || len(listed) != 1 {
			t.Fatalf("%+v, %v", listed, err)
		}
	}
	if l := listed[0]; l.Slug != b.slug || l.Kind != "egress-block" || l.Summary != "new.test" || l.Justification != "now" || len(l.Review) != 64 {
		t.Errorf("%+v", l)
	}
	if !strings.Contains(b.run("proposals"), listed[0].ID) {
		t.Error("the table does not have it")
	}
}
