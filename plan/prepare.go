package plan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/claude-bottle/claude-bottle/agentenv"
	"github.com/claude-bottle/claude-bottle/manifest"
	"github.com/claude-bottle/claude-bottle/state"
)

// Options are the operator's wishes.
type Options struct {
	Home state.Home
	// Workspace is the host folder to work in; empty = the current one.
	Workspace string
	// Agent names an agent file, or a bottle file to be used without one; empty
	// = none.
	Agent string
	// Bottle names the bottle file and wins over the agent file's.
	Bottle string
	// Label is the slug; empty = a fresh one.
	Label string
	// Resume is the plan of a bottle that ended, whose slug, folder and routes
	// the new one takes over; nil = a bottle of its own. Label is not used then.
	Resume *Plan
	// Command wins over the bottle file's.
	Command []string
	// Term is the operator's terminal type; may be empty.
	Term string
	// Lookup finds host variables; nil = os.LookupEnv.
	Lookup func(name string) (string, bool)
	// Ask asks for a value at the terminal; nil = there is no terminal.
	Ask func(ctx context.Context, question string) (string, error)
	// Confirm asks a yes-or-no question; nil = there is no terminal.
	Confirm func(ctx context.Context, question string) (bool, error)
	// PipelockBin is the firewall's binary; empty = the host variable
	// PIPELOCK_BIN, or /usr/local/bin/pipelock.
	PipelockBin string
	// PipelockSHA256 is the digest that the bundle accepts; the host variable
	// PIPELOCK_SHA256 wins. Empty = it accepts none.
	PipelockSHA256 string
	// OwnPipelock tells, for the bottle file's wish of a backend, whether that
	// backend's bundle brings a firewall of its own, and its digest; empty = it
	// brings none, and the host's is not used either. nil = the host's is used.
	OwnPipelock func(backend string) (digest string, own bool, err error)
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// loginShell is the command when nobody names one. Not every image has bash.
var loginShell = []string{"/bin/sh", "-c", "if command -v bash >/dev/null; then exec bash -l; else exec sh -l; fi"}

// Prepare makes the plan. It reads files and asks questions, but writes
// nothing.
func Prepare(ctx context.Context, o Options) (*Plan, error) {
	if o.Lookup == nil {
		o.Lookup = os.LookupEnv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	workspace, err := findWorkspace(o)
	if err != nil {
		return nil, err
	}
	o.Workspace = workspace
	agent, bottle, err := choose(ctx, o)
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Agent: agent.Name, Asked: o.Agent, Bottle: bottle.Name, Backend: bottle.Backend, Workspace: workspace,
		Image: bottle.Image, Dockerfile: bottle.Dockerfile, Limits: defaultLimits,
	}
	if err := p.name(o); err != nil {
		return nil, err
	}
	if err := p.build(ctx, o, agent, bottle); err != nil {
		return nil, err
	}
	return p, nil
}

// build fills in all that follows from the two files.
func (p *Plan) build(ctx context.Context, o Options, agent *manifest.Agent, bottle *manifest.Bottle) error {
	credentials := newCredentials(o.Lookup)
	table, err := expandRoutes(bottle, credentials)
	if err != nil {
		return err
	}
	repos, keys, err := prepareRepos(o, bottle, credentials)
	if err != nil {
		return err
	}
	if err := credentials.err(); err != nil {
		return err
	}
	env, err := resolveEnv(ctx, o, bottle)
	if err != nil {
		return err
	}
	p.RoutesSHA256 = table.SHA256()
	if o.Resume != nil {
		if table, err = p.resumed(o.Resume, table, o.Now()); err != nil {
			return err
		}
	}
	p.Hosts, p.Repos = table.Hosts(), repos.Names()
	p.Tokens, p.Credentials, p.TokenRoles = credentials.values, credentials.refs, credentials.roles
	p.Secrets = knownSecrets(credentials, env)
	if err := p.choosePipelock(o, bottle); err != nil {
		return err
	}
	p.chooseDaemons(bottle)
	if err := p.chooseCommand(o, bottle); err != nil {
		return err
	}
	ca, err := newAuthority("claude-bottle "+p.Slug, o.Now())
	if err != nil {
		return err
	}
	if err := p.agentWorld(o, agent, bottle, env, ca.cert); err != nil {
		return err
	}
	if err := checkCredentialsStayOut(p, env); err != nil {
		return err
	}
	return p.inputs(o, table, repos, keys, ca)
}

// name gives the bottle its slug and its folder.
func (p *Plan) name(o Options) error {
	if o.Resume != nil {
		p.takeOver(o.Resume)
		return nil
	}
	p.Slug = o.Label
	if p.Slug == "" {
		p.Slug = state.NewSlug(p.Agent)
	}
	if err := state.CheckSlug(p.Slug); err != nil {
		return err
	}
	if o.Home.Exists(p.Slug) {
		return fmt.Errorf("%w: %s, with its folder %s", state.ErrExists, p.Slug, o.Home.Dir(p.Slug))
	}
	p.State = o.Home.Dir(p.Slug)
	return nil
}

func (p *Plan) chooseDaemons(bottle *manifest.Bottle) {
	p.Daemons = []string{"egress"}
	if p.Pipelock == "on" {
		p.Daemons = append(p.Daemons, "pipelock")
	}
	if len(p.Repos) > 0 {
		p.Daemons = append(p.Daemons, "git-gate")
	}
	if bottle.Supervise {
		p.Daemons = append(p.Daemons, "supervise")
	}
}

func (p *Plan) chooseCommand(o Options, bottle *manifest.Bottle) error {
	p.Command = slices.Clone(loginShell)
	switch {
	case len(o.Command) > 0:
		p.Command = slices.Clone(o.Command)
	case len(bottle.Command) > 0:
		p.Command = slices.Clone(bottle.Command)
	}
	for _, arg := range p.Command {
		if slices.ContainsFunc(p.Secrets, func(s string) bool { return strings.Contains(arg, s) }) {
			return errors.New("the command line holds a secret value, which every process could read there; put it into env of the bottle file instead")
		}
	}
	return nil
}

// agentWorld is what the agent finds around it.
func (p *Plan) agentWorld(o Options, agent *manifest.Agent, bottle *manifest.Bottle, env []variable, caCert []byte) error {
	roots, err := agentenv.HostRoots()
	if err != nil {
		return err
	}
	skills, err := loadSkills(o.Home, agent)
	if err != nil {
		return err
	}
	user := bottle.GitUser
	if agent.GitUser != (manifest.User{}) {
		user = agent.GitUser
	}
	world := agentenv.Options{
		Slug: p.Slug, Env: map[string]string{}, Term: o.Term, Roots: roots, CACert: caCert,
		Supervise: bottle.Supervise, Repos: map[string]string{}, UserName: user.Name, UserEmail: user.Email,
		Prompt: agent.Prompt, Skills: skills,
	}
	for _, v := range env {
		world.Env[v.name] = v.value
		if v.supplied {
			p.Supplied = append(p.Supplied, v.name)
		}
	}
	for name, repo := range bottle.Repos {
		world.Repos[name] = repo.URL
	}
	p.AgentEnv = agentenv.Variables(world)
	for _, v := range p.AgentEnv {
		name, _, _ := strings.Cut(v, "=")
		p.Env = append(p.Env, name)
	}
	p.AgentFiles, err = agentenv.Files(world)
	return err
}
