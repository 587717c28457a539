package egress

import (
	"sync"

	"github.com/claude-bottle/claude-bottle/audit"
)

// changes are the records of routes put in force that the audit log did not
// take yet.
type changes struct {
	mu   sync.Mutex
	owed []audit.Record
}

// recordChange records what became of a routes file. l is what is in force
// from now on, nil = nothing; failure is why the file was refused, nil = it
// was not.
func (r *Role) recordChange(l *live, failure error) {
	decision, detail := allowed, map[string]any{"what": "routes"}
	if l != nil {
		detail["generation"], detail["config_sha256"] = l.generation, l.table.SHA256()
	}
	if failure != nil {
		decision, detail["error"] = "refused", failure.Error()
	}
	r.changes.mu.Lock()
	r.changes.owed = append(r.changes.owed, audit.Record{Actor: roleName, Action: "change", Decision: decision, Detail: detail})
	r.changes.mu.Unlock()
	if err := r.recordOwed(); err != nil {
		r.Log.Error("a change of the routes is not in the audit log yet, so nothing is let through", "error", err)
	}
}

// recordOwed writes what is owed, in order.
func (r *Role) recordOwed() error {
	r.changes.mu.Lock()
	defer r.changes.mu.Unlock()
	for len(r.changes.owed) > 0 {
		if err := r.Audit.Append(r.changes.owed[0]); err != nil {
			return err
		}
		r.changes.owed = r.changes.owed[1:]
	}
	return nil
}
