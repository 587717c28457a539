// Package demo brings up a bottle on servers of its own and tells, step by
// step, what was let through, what was refused and why.
package demo

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

//go:embed agent.sh
var agentScript []byte

// Tools is what the demo needs from the program it is part of.
type Tools struct {
	// Self is this program: inside the bottle it is the agent's MCP client.
	Self string
	// Prepare makes a plan for the bottle file "demo" below home.
	Prepare func(ctx context.Context, home state.Home, workspace string, command []string) (*plan.Plan, error)
	// Backend starts it, with its state below home.
	Backend func(ctx context.Context, home state.Home) (backend.Backend, error)
	// StandIn is the path of pipelock's stand-in; it may not exist.
	StandIn string
}

// Run plays the demo in dir, an empty folder, and tells it to out. The error
// names every step that did not go as told.
func Run(ctx context.Context, dir string, tools Tools, out io.Writer) error {
	world, err := startWorld(dir)
	if err != nil {
		return fmt.Errorf("the demo's servers: %w", err)
	}
	defer world.close()
	fmt.Fprint(out, textWorld)
	note, err := world.environment(tools.StandIn)
	if err != nil {
		return err
	}
	fmt.Fprint(out, note)

	home := state.Home(filepath.Join(dir, "home"))
	workspace := filepath.Join(dir, "workspace")
	if err := errors.Join(world.writeBottle(home), writeWorkspace(workspace, tools.Self)); err != nil {
		return err
	}
	p, err := tools.Prepare(ctx, home, workspace, []string{"/bin/sh", "/workspace/agent.sh"})
	if err != nil {
		return err
	}
	p.AgentEnv = append(p.AgentEnv, fmt.Sprintf("PORT=%d", world.port), "MCP=/workspace/bottle")
	b, err := tools.Backend(ctx, home)
	if err != nil {
		return err
	}
	if err := p.Write(home); err != nil {
		return err
	}
	return (&play{world: world, plan: p, workspace: workspace, out: out}).run(ctx, b)
}

// play is one performance.
type play struct {
	world     *world
	plan      *plan.Plan
	workspace string
	out       io.Writer
	bottle    backend.Bottle
	failures  []error
}

func (p *play) run(ctx context.Context, b backend.Backend) error {
	agentOut, agentIn := io.Pipe()
	var agentErr strings.Builder
	bottle, err := b.Start(ctx, p.plan, backend.Stdio{In: strings.NewReader(""), Out: agentIn, Err: &agentErr}, func(string) {})
	if err != nil {
		return err
	}
	p.bottle = bottle
	defer bottle.Down(context.WithoutCancel(ctx))
	defer agentOut.Close() // an agent that still talks must not hold up its end

	go func() {
		code, err := bottle.Wait(ctx)
		if err == nil && code != 0 {
			err = fmt.Errorf("the agent ended with code %d: %s", code, agentErr.String())
		}
		agentIn.CloseWithError(err) // nil is the end of the file
	}()
	if err := p.follow(ctx, agentOut); err != nil {
		return err
	}
	p.conclude()
	if len(p.failures) > 0 {
		return errors.Join(p.failures...)
	}
	fmt.Fprint(p.out, textHeld)
	return nil
}

// follow reads what the agent tells and compares it with what must come.
func (p *play) follow(ctx context.Context, agent io.Reader) error {
	lines := bufio.NewScanner(agent)
	next := 0
	for lines.Scan() {
		told, ok := strings.CutPrefix(lines.Text(), "@ ")
		if !ok {
			continue
		}
		id, outcome, _ := strings.Cut(told, " ")
		if next == len(steps) || steps[next].id != id {
			return fmt.Errorf("the agent told %q out of turn", id)
		}
		p.check(steps[next].text, outcome, steps[next].outcome)
		next++
		if err := p.cue(ctx, id); err != nil {
			return fmt.Errorf("after %q: %w", id, err)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if next < len(steps) {
		return fmt.Errorf("the agent ended before %q", steps[next].id)
	}
	return nil
}

// check tells one step and keeps what was not as told.
func (p *play) check(text, got, want string) {
	prefix, open := strings.CutSuffix(want, "…")
	if got == want || open && strings.HasPrefix(got, prefix) {
		fmt.Fprintf(p.out, "  ok %s: %s\n", text, got)
		return
	}
	fmt.Fprintf(p.out, "  NOT AS TOLD %s: %s, not %s\n", text, got, want)
	p.failures = append(p.failures, fmt.Errorf("%s: %s, not %s", strings.TrimSpace(text), got, want))
}

func (p *play) holds(text string, held bool) {
	p.check(text, fmt.Sprint(held), "true")
}

// conclude looks at what reached the servers and at what was written down.
func (p *play) conclude() {
	environment, err := os.ReadFile(filepath.Join(p.workspace, "environment"))
	p.holds(textNoToken, err == nil && !strings.Contains(string(environment), p.world.token))
	p.holds(textCollected, p.world.collected.Load() == 0)
	p.holds(textNoLookup, !p.world.names.asked("collector.demo.test") && p.world.names.asked("api.demo.test"))
	p.holds(textNoLeak, p.world.leaked.Load() == 0)
	report, err := audit.Verify(p.plan.State.Audit())
	p.holds(fmt.Sprintf(textAudit, report.Records), err == nil && report.Broken == nil && report.Records > 0)
}
