package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// Grant is one permission that came from a proposal.
type Grant struct {
	// ID is the proposal's; for a cleared finding, its fingerprint.
	ID   string `json:"id"`
	Host string `json:"host"`
	// Rule says in one line what is granted.
	Rule string `json:"rule"`
	// Expires is nil for the session.
	Expires *time.Time `json:"expires,omitempty"`
	// Uses is the number of requests granted, 0 = any; Left is how many of them
	// are left, as the bundle tells, -1 when it tells nothing readable.
	Uses int `json:"uses,omitempty"`
	Left int `json:"left"`
	// Ended tells that the time or the uses are over.
	Ended bool `json:"ended"`
}

// Grants lists what proposals opened, ended or not, in file order.
func (o *Operator) Grants(ctx context.Context) ([]Grant, error) {
	l, err := o.read(ctx)
	if err != nil {
		return nil, err
	}
	spent, spentErr := o.spent()
	grants := []Grant{}
	for _, r := range l.table.Routes() {
		for _, f := range r.Findings {
			g := Grant{ID: f.Fingerprint, Host: r.Host, Rule: "finding " + f.Rule}
			if !slices.ContainsFunc(grants, func(known Grant) bool { return known.ID == g.ID }) {
				grants = append(grants, g)
			}
		}
		if r.Grant == "" {
			continue
		}
		g := Grant{ID: r.Grant, Host: r.Host, Rule: describe(r), Uses: r.Uses, Ended: o.ended(r, spent)}
		if !r.Expires.IsZero() {
			g.Expires = &r.Expires
		}
		if r.Uses > 0 {
			g.Left = -1
			if spentErr == nil {
				g.Left = min(max(r.Uses-spent[r.Grant], 0), r.Uses)
			}
		}
		grants = append(grants, g)
	}
	return grants, nil
}

// ended tells whether a route is a grant that is over.
func (o *Operator) ended(r routes.Route, spent map[string]int) bool {
	return r.Grant != "" &&
		(!r.Expires.IsZero() && !o.o.Now().Before(r.Expires) || r.Uses > 0 && spent[r.Grant] >= r.Uses)
}

// maxSpent bounds the bundle's file of spent grants.
const maxSpent = 4 << 20

// spent is how often each grant was used, as the bundle tells. It decides
// nothing here.
func (o *Operator) spent() (map[string]int, error) {
	name := filepath.Join(filepath.Base(filepath.Dir(o.dir.Audit())), "grants.json")
	content, err := o.dir.ReadOut(name, maxSpent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var spent map[string]int
	if err := json.Unmarshal(content, &spent); err != nil {
		return nil, fmt.Errorf("spent grants: %w", err)
	}
	return spent, nil
}

// Revoke ends a grant: by its ID, or by its host, which ends all grants of that
// host. None is ErrNoGrant. Lasting routes of the host stay.
func (o *Operator) Revoke(ctx context.Context, grant string) (Outcome, error) {
	return o.change(ctx, "revoke "+grant, func(l live) ([]byte, error) {
		host := grant
		if parsed, err := routes.ParsePattern(grant); err == nil {
			host = parsed
		}
		out := l.Routes
		var ended []string
		for _, r := range l.table.Routes() {
			if r.Grant == "" || r.Grant != grant && r.Host != host || slices.Contains(ended, r.Grant) {
				continue
			}
			var err error
			if out, err = routes.RemoveGrant(out, r.Grant); err != nil {
				return nil, err
			}
			ended = append(ended, r.Grant)
		}
		if len(ended) > 0 {
			return out, nil
		}
		return withoutFinding(l.table, grant)
	})
}

// withoutFinding is the table's file without a cleared finding.
func withoutFinding(table *routes.Table, fingerprint string) ([]byte, error) {
	all := table.Routes()
	found := false
	for i := range all {
		all[i].Findings = slices.DeleteFunc(all[i].Findings, func(f routes.Finding) bool {
			if f.Fingerprint != fingerprint {
				return false
			}
			found = true
			return true
		})
	}
	if !found {
		return nil, fmt.Errorf("%q: %w", fingerprint, ErrNoGrant)
	}
	changed, err := routes.New(all)
	if err != nil {
		return nil, err
	}
	return changed.Render(), nil
}
