package docker

import (
	"slices"

	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

// roles are the bundle's, in the order in which they are told.
var roles = []string{"egress", "pipelock", "git-gate", "supervise"}

// ports are where the agent finds the roles.
var ports = map[string]uint16{"egress": 9099, "pipelock": 8888, "git-gate": 9420, "supervise": 9100}

// The names of what makes up a bottle.
func innerNetwork(slug string) string   { return "claude-bottle-net-" + slug }
func outerNetwork(slug string) string   { return "claude-bottle-egress-" + slug }
func agentContainer(slug string) string { return "claude-bottle-agent-" + slug }
func sealContainer(slug string) string  { return "claude-bottle-seal-" + slug }

// Labels by which a bottle is found again. Those of compose let its commands
// see the bottle as a project.
const (
	labelSlug  = "claude-bottle.slug"
	labelHome  = "claude-bottle.home"
	labelPart  = "claude-bottle.part"
	labelAgent = "claude-bottle.agent"

	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
)

// Parts of a bottle, as labelPart has them.
const (
	partAgent  = "agent"
	partBundle = "sidecars" // in the split shape the roles' names
	partSeal   = "seal"
	partInner  = "net"
	partOuter  = "egress"
)

// labels are a container's.
func labels(home state.Home, p *plan.Plan, part string) map[string]string {
	all := ownLabels(home, p.Slug, part)
	all[labelAgent] = p.Agent
	all[composeProject] = "claude-bottle-" + p.Slug
	all[composeService] = part
	all["com.docker.compose.container-number"] = "1"
	all["com.docker.compose.oneoff"] = "False"
	all["com.docker.compose.project.working_dir"] = string(p.State)
	all["com.docker.compose.project.config_files"] = p.State.Plan()
	all["com.docker.compose.config-hash"] = p.Slug
	all["com.docker.compose.version"] = "2.0.0"
	return all
}

func networkLabels(home state.Home, slug, part string) map[string]string {
	all := ownLabels(home, slug, part)
	all[composeProject] = "claude-bottle-" + slug
	all["com.docker.compose.network"] = part
	return all
}

func ownLabels(home state.Home, slug, part string) map[string]string {
	return map[string]string{labelSlug: slug, labelHome: string(home), labelPart: part}
}

// selected are the plan's roles in order.
func selected(p *plan.Plan) []string {
	return slices.DeleteFunc(slices.Clone(roles), func(role string) bool { return !slices.Contains(p.Daemons, role) })
}
