package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/roles/pipelock/config"
)

// cue plays the operator's part at the steps that wait for one.
func (p *play) cue(ctx context.Context, step string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	switch step {
	case "stream-open":
		if err := p.open(ctx, "docs.demo.test"); err != nil {
			return err
		}
		text := textHangup
		if p.plan.Pipelock == "on" {
			text = textChanged
		}
		fmt.Fprint(p.out, text)
		return os.WriteFile(filepath.Join(p.workspace, "changed"), nil, 0o600)
	case "ask-refused":
		return p.answer(ctx, proposal.Rejected, "nothing is sent there", textRejected, nil)
	case "ask-approved":
		return p.answer(ctx, proposal.Approved, "in force", textApproved, func() error { return p.open(ctx, "new.demo.test") })
	}
	return nil
}

// open puts a route for host in force: first in the firewall child, which
// alone opens nothing, then in egress.
func (p *play) open(ctx context.Context, host string) error {
	if p.plan.Pipelock == "on" {
		old, err := p.bottle.ReadFile(ctx, filepath.Base(p.plan.State.Pipelock()))
		if err != nil {
			return err
		}
		hosts, err := config.Hosts(old)
		if err != nil {
			return err
		}
		changed, err := config.SetHosts(old, append(hosts, host))
		if err != nil {
			return err
		}
		if err := p.change(ctx, "pipelock", filepath.Base(p.plan.State.Pipelock()), changed, syscall.SIGUSR1); err != nil {
			return err
		}
	}
	old, err := p.bottle.ReadFile(ctx, filepath.Base(p.plan.State.Routes()))
	if err != nil {
		return err
	}
	changed, err := routes.Append(old, p.world.route(host))
	if err != nil {
		return err
	}
	return p.change(ctx, "egress", filepath.Base(p.plan.State.Routes()), changed, syscall.SIGHUP)
}

// change writes a role's configuration, signals the bundle and waits until
// that very file is in force.
func (p *play) change(ctx context.Context, role, name string, content []byte, signal os.Signal) error {
	if err := p.bottle.WriteFile(ctx, name, content); err != nil {
		return err
	}
	if err := p.bottle.Signal(ctx, signal); err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	want := hex.EncodeToString(sum[:])
	for {
		document, err := p.bottle.Health(ctx)
		if err != nil {
			return err
		}
		var report health.Report
		if err := json.Unmarshal(document, &report); err != nil {
			return err
		}
		if report.Roles[role].ConfigSHA256 == want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not in force: %q", name, report.Roles[role].LastError)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// answer waits for the agent's proposal, applies it and answers.
func (p *play) answer(ctx context.Context, status proposal.Status, notes, told string, apply func() error) error {
	queue, err := proposal.Open(p.plan.State.Queue(), p.plan.Slug)
	if err != nil {
		return err
	}
	defer queue.Close()
	asked, err := nextOpen(ctx, queue)
	if err != nil {
		return err
	}
	if err := queue.Decide(proposal.Response{
		ProposalID: asked.ID,
		Review:     asked.Review,
		Status:     status,
		Notes:      notes,
		Decided:    time.Now().UTC(),
		Operator:   "demo",
	}); err != nil {
		return err
	}
	if apply != nil {
		if err := apply(); err != nil {
			return errors.Join(err, queue.RollBack(asked.ID))
		}
	}
	fmt.Fprint(p.out, told)
	return queue.Confirm(asked.ID)
}

// nextOpen waits for a proposal that nobody answered yet.
func nextOpen(ctx context.Context, queue *proposal.Queue) (proposal.Proposal, error) {
	for {
		entries, problems, err := queue.List()
		if err := errors.Join(append(problems, err)...); err != nil {
			return proposal.Proposal{}, err
		}
		for _, e := range entries {
			if e.Response == nil && e.Decision == nil {
				return e.Proposal, nil
			}
		}
		select {
		case <-ctx.Done():
			return proposal.Proposal{}, errors.New("the agent's proposal did not arrive")
		case <-time.After(50 * time.Millisecond):
		}
	}
}
