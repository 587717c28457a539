package manifest

import (
	"errors"
	"net/netip"

	yaml "go.yaml.in/yaml/v4"

	"github.com/claude-bottle/claude-bottle/internal/strictyaml"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	gitgate "github.com/claude-bottle/claude-bottle/roles/gitgate/config"
)

// Route is a route as a bottle file has it: like one of routes.yaml, but a
// credential is named by a host variable, and there are no grants.
type Route struct {
	Host          string           `yaml:"host"`
	Ports         []uint16         `yaml:"ports"`
	Methods       []string         `yaml:"methods"`
	Paths         []string         `yaml:"paths"`
	PathAllowlist []string         `yaml:"path_allowlist"`
	Auth          *Auth            `yaml:"auth"`
	AgentAuth     bool             `yaml:"agent_auth"`
	WebSocket     bool             `yaml:"websocket"`
	EncodedSlash  bool             `yaml:"encoded_slash"`
	Networks      []netip.Prefix   `yaml:"networks"`
	Git           routes.Git       `yaml:"git"`
	Pipelock      string           `yaml:"pipelock"`
	Findings      []routes.Finding `yaml:"findings"`
	// Where is the file and line, for errors.
	Where string `yaml:"-"`

	line int
}

// Auth is the credential that egress injects.
type Auth struct {
	Scheme string `yaml:"scheme"`
	// TokenRef is the host variable with the value.
	TokenRef string `yaml:"token_ref"`
	Header   string `yaml:"header"`
}

// UnmarshalYAML reads and validates one route.
func (r *Route) UnmarshalYAML(node *yaml.Node) error {
	type plain Route
	if err := strictyaml.Node(node, (*plain)(r)); err != nil {
		return err
	}
	r.line = node.Line
	if r.Auth != nil {
		if r.Auth.TokenRef == "" {
			return at(node.Line, errors.New("auth: token_ref is missing: name the host variable that holds the credential"))
		}
		if err := checkVariable("auth: token_ref", r.Auth.TokenRef); err != nil {
			return at(node.Line, err)
		}
	}
	_, err := routes.New([]routes.Route{r.Rendered("EGRESS_TOKEN_1")})
	return at(node.Line, err)
}

// Rendered is the route as routes.yaml has it, its credential in the variable
// tokenEnv.
func (r *Route) Rendered(tokenEnv string) routes.Route {
	out := routes.Route{
		Host: r.Host, Ports: r.Ports, Methods: r.Methods, Paths: r.Paths, PathAllowlist: r.PathAllowlist,
		AgentAuth: r.AgentAuth, WebSocket: r.WebSocket, EncodedSlash: r.EncodedSlash, Networks: r.Networks, Git: r.Git,
		Pipelock: r.Pipelock, Findings: r.Findings,
	}
	if r.Auth != nil {
		out.Auth = &routes.Auth{Scheme: r.Auth.Scheme, TokenEnv: tokenEnv, Header: r.Auth.Header}
	}
	return out
}

// Repo is a repository as a bottle file has it: like one of git-gate's
// configuration, but a token is named by a host variable and a key is a file of
// the operator's.
type Repo struct {
	URL string `yaml:"url"`
	// Identity is a private key's file; ~/ is the operator's home folder.
	Identity string `yaml:"identity"`
	// TokenRef is the host variable with an HTTPS token.
	TokenRef    string   `yaml:"token_ref"`
	HostKey     string   `yaml:"host_key"`
	Push        []string `yaml:"push"`
	PushOptions bool     `yaml:"push_options"`
	Force       bool     `yaml:"force"`
	Delete      bool     `yaml:"delete"`
	CIPaths     string   `yaml:"ci_paths"`
	// Where is the file and line, for errors.
	Where string `yaml:"-"`

	line int
}

// UnmarshalYAML reads one repository.
func (r *Repo) UnmarshalYAML(node *yaml.Node) error {
	type plain Repo
	err := strictyaml.Node(node, (*plain)(r))
	r.line = node.Line
	return err
}

// Rendered is the repository as git-gate's configuration has it.
func (r *Repo) Rendered(identity, tokenEnv string) gitgate.Repo {
	return gitgate.Repo{
		URL: r.URL, Identity: identity, TokenEnv: tokenEnv, HostKey: r.HostKey,
		Push: r.Push, PushOptions: r.PushOptions, Force: r.Force, Delete: r.Delete, CIPaths: r.CIPaths,
	}
}

func (r *Repo) check(name string) error {
	tokenEnv := ""
	if r.TokenRef != "" {
		tokenEnv = "EGRESS_TOKEN_1"
		if err := checkVariable("token_ref", r.TokenRef); err != nil {
			return err
		}
	}
	_, err := gitgate.New(map[string]gitgate.Repo{name: r.Rendered(r.Identity, tokenEnv)})
	return err
}
