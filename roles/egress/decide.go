package egress

import (
	"io"
	"net/http"
	"time"

	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

// maxGraphQL bounds the GraphQL bodies that are read before they are decided
// on; a longer one counts as a write.
const maxGraphQL = 1 << 20

// decide asks the routes, and a GraphQL body when they leave it open.
func decide(x *exchange) *policy.Decision {
	route, d := x.live.table.Decide(x.request(), time.Now(), x.role.spent)
	if route == nil || !d.Allow {
		d = completed(d, x.about())
		return &d
	}
	x.route = route
	if x.in.Method != http.MethodPost || route.Git.APIWrite || !routes.IsGraphQL(x.path) && !routes.IsGraphQL(x.sentPath) {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(x.patient, maxGraphQL+1))
	switch {
	case err != nil:
		return x.bodyTrouble(err)
	case len(body) > maxGraphQL || len(x.in.Trailer) > 0:
		return x.block(policy.GitWrite, "a GraphQL request of this size or form cannot be told from a write", remedyWrite)
	case routes.GraphQLWrite(x.in.Header, body):
		return x.block(policy.GitWrite, "the GraphQL request is not clearly a query", remedyWrite)
	}
	x.body = &outBody{buffered: body}
	return nil
}
