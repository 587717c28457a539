package routes

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/policy"
)

// Request is what the agent asks for, as far as a decision needs it.
type Request struct {
	Authority canon.Authority
	Method    string
	Path      canon.Path
	// Sent is the path as it will be forwarded where it holds encoded slashes,
	// which Path has as slashes, see canon.ParseSlashedPath; else "" or Path.
	Sent canon.Path
	// RawQuery is needed for git's service=… and GraphQL's query=….
	RawQuery string
	// Plain: the request came as plain HTTP (absolute form, port 80).
	Plain bool
	// WebSocket: the request asks to be upgraded to a WebSocket.
	WebSocket bool
}

// Spent says how many requests a grant has already forwarded. A nil Spent
// means none.
type Spent func(grant string) int

// Authority decides on host and port alone, as on a CONNECT (plain false) or
// an absolute form (plain true): ip-literal, no-route, grant-expired, port.
// Port 80 is plain HTTP only, and plain HTTP is port 80 only.
func (t *Table) Authority(a canon.Authority, plain bool, now time.Time, spent Spent) policy.Decision {
	var room [8]int
	_, d := t.candidates(room[:0], a, plain, now, spent)
	return d
}

// Decide decides on a whole request and returns the route in force, nil when
// refused; the route belongs to the table and must not be changed. Several
// routes may name one host, exactly or by pattern: in file order, the first
// that fits in everything decides; a refusal tells the rule of the route that
// came furthest.
func (t *Table) Decide(r Request, now time.Time, spent Spent) (*Route, policy.Decision) {
	var room [8]int
	fitting, d := t.candidates(room[:0], r.Authority, r.Plain, now, spent)
	if !d.Allow {
		d.Method, d.Path = r.Method, string(r.Path)
		return nil, d
	}
	if r.Path == "" {
		return nil, refuse(r, policy.Malformed, nil, gitNothing)
	}
	git := classifyGit(r)
	best, closest := -1, -1
	for _, i := range fitting {
		stage := t.rules[i].stage(&r, git)
		if stage == len(stages) {
			d.Method, d.Path = r.Method, string(r.Path)
			return &t.rules[i].Route, d
		}
		if stage > best {
			best, closest = stage, i
		}
	}
	return nil, refuse(r, stages[best], &t.rules[closest], git)
}

// slashed reports whether the path was sent with encoded slashes.
func (r *Request) slashed() bool { return r.Sent != "" && r.Sent != r.Path }

// stages are the rules that a route is asked for, in order.
var stages = [...]policy.Rule{policy.Upgrade, policy.Method, policy.Path, policy.GitWrite}

// stage is how far a request comes: the index in stages of what refuses it.
func (r *rule) stage(req *Request, git gitKind) int {
	switch {
	case req.WebSocket && !r.WebSocket:
		return 0
	case !r.allowsMethod(req.Method) && !(r.Git.Fetch && fetchesPack(req)):
		return 1
	case req.slashed() && !r.EncodedSlash, !r.allowsPath(req.Path):
		return 2
	case !r.allowsGit(git):
		return 3
	}
	return len(stages)
}

func (r *rule) allowsMethod(method string) bool {
	if len(r.Methods) > 0 {
		return slices.Contains(r.Methods, method)
	}
	return method != "" && !strings.EqualFold(method, "TRACE") && !strings.EqualFold(method, "CONNECT")
}

func (r *rule) allowsPath(path canon.Path) bool {
	for _, allowed := range r.paths {
		if path.Under(allowed) {
			return true
		}
	}
	return len(r.paths) == 0
}

func (r *rule) allowsGit(git gitKind) bool {
	switch git {
	case gitNothing:
		return true
	case gitFetch:
		return r.Git.Fetch
	default:
		return r.Git.APIWrite
	}
}

// candidates returns the rules, in file order, that allow the authority, and
// the decision on it. room saves the allocation.
func (t *Table) candidates(room []int, a canon.Authority, plain bool, now time.Time, spent Spent) ([]int, policy.Decision) {
	host := a.Host.String()
	found := t.lookup(room, host)
	live := found[:0]
	for _, i := range found {
		if t.rules[i].live(now, spent) {
			live = append(live, i)
		}
	}
	open := live[:0]
	anyLive := len(live) > 0
	for _, i := range live {
		if plain == (a.Port == 80) && slices.Contains(t.rules[i].Ports, a.Port) {
			open = append(open, i)
		}
	}
	if len(open) > 0 {
		return open, policy.Decision{Allow: true, Role: role, Host: host}
	}
	return nil, refuseAuthority(a, plain, len(found) > 0, anyLive)
}

// live reports whether the route is no grant, or one that is not used up.
func (r *rule) live(now time.Time, spent Spent) bool {
	if r.Grant == "" {
		return true
	}
	if !r.Expires.IsZero() && !now.Before(r.Expires) {
		return false
	}
	return r.Uses == 0 || spent == nil || spent(r.Grant) < r.Uses
}

// lookup appends the indices of the rules that name the host, in file order.
func (t *Table) lookup(room []int, host string) []int {
	if host == "" {
		return room
	}
	room = append(room, t.exact[host]...)
	if len(t.under) == 0 {
		return room
	}
	merged := len(room)
	for rest := host; ; {
		_, base, ok := strings.Cut(rest, ".")
		if !ok {
			break
		}
		room = append(room, t.under[base]...)
		rest = base
	}
	if len(room) > merged {
		slices.Sort(room)
	}
	return room
}

// role is how egress's decisions are signed.
const role = "egress"

const askTool = "ask the operator with the egress-block tool of the supervise MCP server"

func refuseAuthority(a canon.Authority, plain, known, live bool) policy.Decision {
	d := policy.Decision{Role: role, Host: a.Host.String()}
	_, isIP := a.Host.IP()
	switch {
	case !known && isIP:
		d.Rule = policy.IPLiteral
		d.Reason = fmt.Sprintf("no route names the address %s", d.Host)
		d.Remedy = "use the host's name; " + askTool
	case !known:
		d.Rule = policy.NoRoute
		d.Reason = fmt.Sprintf("no route allows the host %s", d.Host)
		d.Remedy = "see http://" + Self + "/allowlist for what is allowed, or " + askTool
	case !live:
		d.Rule = policy.GrantExpired
		d.Reason = fmt.Sprintf("the grant for %s has ended", d.Host)
		d.Remedy = askTool + " once more"
	default:
		d.Rule = policy.Port
		d.Reason = fmt.Sprintf("no route for %s allows port %d", d.Host, a.Port)
		d.Remedy = "use a listed port, see http://" + Self + "/allowlist"
		switch {
		case plain && a.Port != 80:
			d.Reason = fmt.Sprintf("plain HTTP goes to port 80 alone, not to %d", a.Port)
			d.Remedy = "use https"
		case !plain && a.Port == 80:
			d.Reason = "port 80 is plain HTTP, which takes no CONNECT"
			d.Remedy = "send the request itself to the proxy, or use https"
		}
	}
	return d
}

// refuse tells what is wrong with a request to an allowed authority; closest
// is the route that came furthest.
func refuse(r Request, why policy.Rule, closest *rule, git gitKind) policy.Decision {
	d := policy.Decision{
		Rule: why, Role: role, Host: r.Authority.Host.String(), Method: r.Method, Path: string(r.Path),
	}
	switch why {
	case policy.Malformed:
		d.Reason = "the request has no readable path"
		d.Remedy = "send a well-formed request"
	case policy.Upgrade:
		d.Reason = fmt.Sprintf("the route for %s allows no WebSocket", d.Host)
		d.Remedy = "use plain requests, or " + askTool
	case policy.Method:
		d.Reason = fmt.Sprintf("the route for %s does not allow the method %s", d.Host, r.Method)
		d.Remedy = askTool
		if len(closest.Methods) > 0 {
			d.Remedy = "use " + strings.Join(closest.Methods, ", ") + ", or " + askTool
		}
	case policy.Path:
		if r.slashed() && !closest.EncodedSlash {
			d.Reason = "an encoded slash in a path is read differently by different servers"
			d.Remedy = "send a plain slash, or ask the operator for encoded_slash: true on this route"
			break
		}
		d.Reason = fmt.Sprintf("the route for %s does not allow the path %s", d.Host, r.Path)
		d.Remedy = "stay under " + strings.Join(closest.Paths, ", ") + ", or " + askTool
	case policy.GitWrite:
		d.Reason = fmt.Sprintf("the route for %s does not allow writing to repositories", d.Host)
		d.Remedy = "push to the git remote as configured, which goes through git-gate"
		if git == gitFetch {
			d.Reason = fmt.Sprintf("the route for %s does not allow git fetches", d.Host)
			d.Remedy = "use a repository that git-gate serves, or ask the operator for git: {fetch: true} on this route"
		}
	}
	return d
}
