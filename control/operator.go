package control

import (
	"os"
	"os/user"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/proposal"
)

// userName is who runs this program.
func userName() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if name = proposal.Clean(name, 80); name == "" {
		return "operator"
	}
	return name
}

// record writes a line into the operator's audit chain, with the head of the
// bundle's, where that can be read.
func (o *Operator) record(action, decision string, detail map[string]any) error {
	detail["operator"] = o.o.Name
	if head, err := audit.LastHead(o.dir.Audit()); err == nil && head.Seq > 0 {
		detail = audit.AnchorBundle(detail, head)
	}
	return audit.AppendOnce(o.o.Home.OperatorLog(), audit.Options{Slug: o.o.Slug},
		audit.Record{Actor: "operator", Action: action, Decision: decision, Detail: detail})
}
