package proposal_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/proposal"
)

const crashQueue = "PROPOSAL_TEST_CRASH_QUEUE"

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashQueue); dir != "" {
		fmt.Println("failed", work(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// work files, decides, confirms and delivers as fast as it can and says each
// time what it has done.
func work(dir string) error {
	bundle, err := proposal.Create(dir, proposal.Options{Slug: slug})
	if err != nil {
		return err
	}
	operator, err := proposal.Open(dir, slug)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		draft, err := proposal.AskEgress(fmt.Sprintf("h%d-%d.example", os.Getpid(), i), nil, nil, "why")
		if err != nil {
			return err
		}
		p, _, err := bundle.Add(draft)
		if err != nil {
			return err
		}
		fmt.Println("filed", p.ID)
		if err := errors.Join(operator.Decide(answer(p, proposal.Approved)), operator.Confirm(p.ID)); err != nil {
			return err
		}
		fmt.Println("answered", p.ID)
		if err := bundle.Deliver(p.ID, func(proposal.Entry) error { return nil }); err != nil {
			return err
		}
	}
}

func TestAKillLosesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	filed, answered := make(map[string]bool), make(map[string]bool)
	for round := range 20 {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), crashQueue+"="+dir)
		out, err := command.StdoutPipe()
		if err == nil {
			err = command.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for said := 0; lines.Scan(); said++ {
			what, id, _ := strings.Cut(lines.Text(), " ")
			switch what {
			case "filed":
				filed[id] = true
			case "answered":
				answered[id] = true
			default:
				t.Fatal(lines.Text())
			}
			if said == 4+round {
				time.AfterFunc(time.Duration(round)*300*time.Microsecond, func() { _ = command.Process.Kill() })
			}
		}
		_ = command.Wait()

		q, err := proposal.Create(dir, proposal.Options{Slug: slug, Report: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		if _, problems, err := q.List(); err != nil || len(problems) != 0 {
			t.Errorf("%v, %v", problems, err)
		}
		for id := range filed {
			e, err := q.Get(id)
			if err != nil || answered[id] && e.Response == nil {
				t.Errorf("%s: %+v, %v", id, e.Response, err)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ".tmp-*")); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
		if _, err := q.Expire(time.Now().Add(time.Hour), "test"); err != nil { // room for the next round
			t.Error(err)
		}
		q.Close()
	}
	if len(filed) < 50 || len(answered) < 50 {
		t.Errorf("only %d filed and %d answered", len(filed), len(answered))
	}
}
