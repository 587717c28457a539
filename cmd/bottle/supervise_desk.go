package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v4"

	"github.com/claude-bottle/claude-bottle/cmd/bottle/tui"
	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/proposal"
	"github.com/claude-bottle/claude-bottle/replay"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/state"
)

// desk is what `bottle supervise` shows and does, on the bottles of one home.
type desk struct {
	app  *app
	home state.Home
}

// Slugs implements tui.Desk.
func (d *desk) Slugs(ctx context.Context) ([]string, error) {
	bottles, err := d.app.running(ctx)
	if err != nil {
		return nil, err
	}
	slugs := make([]string, 0, len(bottles))
	for _, b := range bottles {
		slugs = append(slugs, b.Slug)
	}
	slices.Sort(slugs)
	return slugs, nil
}

// Look implements tui.Desk. A bottle that does not answer still has a queue.
func (d *desk) Look(ctx context.Context, slug string) (tui.Bottle, error) {
	entries, problems, err := control.Waiting(d.home.Dir(slug))
	if err != nil {
		return tui.Bottle{}, err
	}
	b := tui.Bottle{Slug: slug}
	for _, e := range entries {
		b.Waiting = append(b.Waiting, item(e))
	}
	for _, problem := range problems {
		b.Problems = append(b.Problems, proposal.Clean(problem.Error(), 300))
	}
	if b.Grants, err = d.grants(ctx, slug); err != nil {
		b.Note = noteNoGrants(err)
	}
	return b, nil
}

func item(e proposal.Entry) tui.Item {
	return tui.Item{
		ID: e.ID, Review: e.Proposal.Review, Kind: string(e.Kind), Created: e.Created,
		Subject: control.Summary(e.Proposal),
	}
}

func (d *desk) grants(ctx context.Context, slug string) ([]tui.Grant, error) {
	o, err := d.app.operator(ctx, slug)
	if err != nil {
		return nil, err
	}
	all, err := o.Grants(ctx)
	if err != nil {
		return nil, err
	}
	var grants []tui.Grant
	for _, g := range all {
		grant := tui.Grant{ID: g.ID, Host: g.Host, Subject: g.Rule, Uses: g.Uses, Left: g.Left, Ended: g.Ended}
		if !strings.HasPrefix(g.Rule, g.Host) {
			grant.Subject = g.Host + " " + g.Rule
		}
		if g.Expires != nil {
			grant.Expires = *g.Expires
		}
		grants = append(grants, grant)
	}
	return grants, nil
}

// Show implements tui.Desk.
func (d *desk) Show(ctx context.Context, slug, id string) (tui.Detail, error) {
	r, _, err := d.review(ctx, slug, id)
	if err != nil {
		return tui.Detail{}, err
	}
	detail := tui.Detail{
		Item: item(r.Entry), Host: r.Host, Words: r.Justification,
		Diff: diffLines(r.Diff), Timed: r.Route != nil, Savable: r.Route != nil,
	}
	switch rule := r.Parsed.(type) {
	case *proposal.CapabilityRule: // the agent's words too
		detail.Rule = []string{ruleNothing}
		detail.Words = rule.Change + " / " + r.Justification
	case *proposal.FindingRule, *proposal.PushRule:
		detail.ByBundle = true
		detail.Timed = r.Kind == proposal.GitPush
		if detail.Rule, err = fields(r.Rule); err != nil {
			return tui.Detail{}, err
		}
	default:
		if detail.Rule, err = ruleLines(*r.Route); err != nil {
			return tui.Detail{}, err
		}
		if detail.Editable, err = ruleText(*r.Route); err != nil {
			return tui.Detail{}, err
		}
	}
	d.replay(&detail, r)
	return detail, nil
}

func (d *desk) review(ctx context.Context, slug, id string) (control.Review, *control.Operator, error) {
	o, err := d.app.operator(ctx, slug)
	if err != nil {
		return control.Review{}, nil, err
	}
	r, err := o.Review(ctx, id)
	return r, o, err
}

// replay fills in which recorded refusals the rule would have let through.
func (d *desk) replay(detail *tui.Detail, r control.Review) {
	if r.Route == nil {
		detail.ReplayNote = noteNoReplay
		return
	}
	refusals, err := replay.Load(d.home.Dir(r.Slug).Audit())
	if err != nil {
		detail.ReplayNote = noteReplayFailed(err)
		return
	}
	result, err := replay.JudgeRoute(refusals, r.Live, *r.Route, replay.AskedBy(r.Proposal), time.Now(), nil)
	if err != nil {
		detail.ReplayNote = noteReplayFailed(err)
		return
	}
	for _, refusal := range result.Would {
		detail.Replay = append(detail.Replay, tui.Refusal{
			Count: int(min(refusal.Count, 1<<30)), Method: refusal.Method, Host: refusal.Host, Path: refusal.Path,
			Rule: string(refusal.Rule), Named: refusal.Named,
		})
	}
	if result.Unknown > 0 {
		detail.ReplayNote = noteUnknown(result.Unknown)
	}
}

// ruleText is a route as an editor is given it.
func ruleText(r routes.Route) ([]byte, error) {
	table, err := routes.New([]routes.Route{r})
	if err != nil {
		return nil, err
	}
	return table.Render(), nil
}

// ruleLines are a route for reading: one key a line, and what it means that
// methods or paths are not limited.
func ruleLines(r routes.Route) ([]string, error) {
	text, err := ruleText(r)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Routes []yaml.Node `yaml:"routes"`
	}
	if err := yaml.Load(text, &doc); err != nil {
		return nil, err
	}
	keys := doc.Routes[0].Content
	for i := 1; i < len(keys); i += 2 {
		keys[i].Style |= yaml.FlowStyle
	}
	one, err := yaml.Dump(&doc.Routes[0], yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(string(one), "\n"), "\n")
	if len(r.Methods) == 0 {
		lines = append(lines, ruleAnyMethod)
	}
	if len(r.Paths)+len(r.PathAllowlist) == 0 {
		lines = append(lines, ruleAnyPath)
	}
	return lines, nil
}

// fields are the members of a rule, one a line.
func fields(rule json.RawMessage) ([]string, error) {
	var members map[string]string
	if err := json.Unmarshal(rule, &members); err != nil {
		return nil, err
	}
	var lines []string
	for name, value := range members {
		lines = append(lines, name+": "+value)
	}
	slices.Sort(lines)
	return lines, nil
}

// diffLines are the lines of a difference, without its head of names.
func diffLines(diff string) []string {
	var lines []string
	for line := range strings.Lines(diff) {
		if !strings.HasPrefix(line, "--- ") && !strings.HasPrefix(line, "+++ ") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// explainAct is what went wrong, with a change of the proposal told as such.
func explainAct(err error) error {
	if errors.Is(err, control.ErrReview) {
		return fmt.Errorf("%w: %w", tui.ErrChanged, err)
	}
	return err
}
