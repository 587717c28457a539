package plan

import (
	"fmt"
	"os"
	"time"

	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// takeOver makes p the next run of the bottle that ran under the plan old.
func (p *Plan) takeOver(old *Plan) {
	p.Slug, p.State = old.Slug, old.State
}

// resumed is the table that goes on: what was in force when the bottle ended,
// without the grants that ended with it. When the bottle file has changed since,
// fresh, the one it gives now, is all there is: the operator's edits were of
// other routes.
func (p *Plan) resumed(old *Plan, fresh *routes.Table, now time.Time) (*routes.Table, error) {
	if old.RoutesSHA256 != fresh.SHA256() {
		p.Note = "the bottle file's routes have changed since: they are in force, what was allowed or denied meanwhile is not"
		return fresh, nil
	}
	content, err := os.ReadFile(p.State.Routes())
	if err != nil {
		return nil, fmt.Errorf("reading the routes that were in force: %w", err)
	}
	table, err := routes.Parse(content)
	if err != nil {
		return nil, fmt.Errorf("the routes that were in force: %w", err)
	}
	var kept []routes.Route
	for _, r := range table.Routes() {
		if r.Grant == "" || r.Expires.After(now) {
			kept = append(kept, r)
		}
	}
	return routes.New(kept)
}

// Rewrite lays the inputs of a resumed bottle out in the folder it has.
func (p *Plan) Rewrite() error {
	if err := p.write(p.State); err != nil {
		return fmt.Errorf("writing the bottle's files: %w", err)
	}
	return nil
}
