package egress

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// steps are a request's way, in order. Each may refuse; what none refused is
// forwarded.
var steps = [...]func(*exchange) *policy.Decision{
	canonicalise, // what is asked for, in its one form
	decide,       // whether a route allows it
	scan,         // what the agent sends holds no secret
	strip,        // the agent's credentials and the hop's headers go
	inject,       // the operator's credential comes
	permit,       // counted, recorded, and cut when the policy changes
}

// exchange is one request and its response.
type exchange struct {
	role *Role
	live *live
	w    http.ResponseWriter
	in   *http.Request

	// tunnel is what the request came through; nil for plain HTTP.
	tunnel    *tunnel
	authority canon.Authority
	plain     bool

	// Of canonicalise.
	path      canon.Path // what is decided on
	sentPath  canon.Path // what is forwarded: the same, encoded slashes as they came
	query     string
	hasQuery  bool
	webSocket bool

	// Of decide.
	route *routes.Route

	// Of scan.
	scanner *secretscan.Scanner
	key     socketKey
	body    *outBody     // nil = none
	patient *patientBody // what of it the agent still sends

	// Of inject.
	token *token // nil = the route injects none

	// Of permit.
	ctx      context.Context
	cancel   context.CancelFunc
	ended    ending
	counted  bool
	reviewed bool

	// Of forward.
	begun  atomic.Bool  // the request was sent; known where a use was counted
	sent   atomic.Int64 // bytes of body to the origin
	got    int64        // bytes of body to the agent
	status int
}

// serve takes a request through the steps.
func (r *Role) serve(x *exchange) {
	if !r.admit(x) {
		return
	}
	defer x.end()
	x.watch()
	for _, step := range steps {
		if d := step(x); d != nil {
			r.refuse(x.w, *d)
			return
		}
	}
	if err := r.record("request", allowed, detailOf(x.about())); err != nil {
		x.refund()
		r.unrecorded(x.w, x.about().Host)
		return
	}
	x.forward()
}

// end releases what the steps took.
func (x *exchange) end() {
	x.patient.done()
	<-x.role.requests
	if x.body != nil && x.body.rest != nil {
		_ = x.body.rest.Close()
	}
	if x.reviewed {
		x.role.active.remove(x)
	}
	if x.cancel != nil {
		x.cancel()
	}
}

// block is the refusal of the exchange.
func (x *exchange) block(rule policy.Rule, reason, remedy string) *policy.Decision {
	d := blocked(rule, x.about(), reason, remedy)
	return &d
}

// about is what the exchange is about, for a verdict.
func (x *exchange) about() policy.Decision {
	d := policy.Decision{
		Host: x.authority.Host.String(), Port: x.authority.Port, Plain: x.plain, WebSocket: x.webSocket,
		Method: x.in.Method, Path: string(x.sentPath),
	}
	if x.path == "" {
		d.Path = rawPath(x.in.RequestURI)
	}
	return d
}

// request is what the routes decide on.
func (x *exchange) request() routes.Request {
	return routes.Request{
		Authority: x.authority,
		Method:    x.in.Method,
		Path:      x.path,
		Sent:      x.sentPath,
		RawQuery:  x.query,
		Plain:     x.plain,
		WebSocket: x.webSocket,
	}
}

// permit counts the use of a grant, records the verdict, and gives the exchange
// its end: the grant's, the agent's leaving, or a change of the routes.
func permit(x *exchange) *policy.Decision {
	ctx, cancel := context.WithCancel(x.in.Context())
	x.ctx, x.cancel = ctx, cancel
	if !x.route.Expires.IsZero() {
		timer := time.AfterFunc(time.Until(x.route.Expires), func() { x.role.active.cut(x, "the grant ended") })
		context.AfterFunc(ctx, func() { timer.Stop() })
	}
	x.role.active.add(x)
	x.reviewed = true
	if now := x.role.live.Load(); now != x.live && !x.permitted(now) {
		return x.block(policy.NoRoute, "the routes changed while the request came in", remedyRoute)
	}
	if x.route.Uses > 0 {
		ok, err := x.role.grants.spend(x.route.Grant, x.route.Uses)
		if err != nil {
			x.role.Log.Error("a grant's use cannot be kept", "error", err)
		}
		if !ok || err != nil {
			return x.block(policy.GrantExpired, "the grant has no use left", remedyGrant)
		}
		x.counted = true
	}
	return nil
}

// permitted reports whether l allows the exchange as far as it went.
func (x *exchange) permitted(l *live) bool {
	route, _ := l.table.Decide(x.request(), time.Now(), nil)
	return route != nil && sameReach(x.route, route)
}

// sameReach reports whether what was dialled under old may be dialled under
// now. Only routes with networks of their own are in doubt.
func sameReach(old, now *routes.Route) bool {
	for _, network := range old.Networks {
		kept := false
		for _, n := range now.Networks {
			kept = kept || n.Bits() <= network.Bits() && n.Contains(network.Addr())
		}
		if !kept {
			return false
		}
	}
	return true
}

// cut ends the exchange on both sides.
func (x *exchange) cut(reason string) {
	x.ended.tell(reason)
	x.role.Log.Info("request cut", "host", x.authority.Host.String(), "reason", reason)
	x.cancel()
	if wire := x.wire(); wire != nil {
		// Below TLS: a record that a deadline cut short would be followed by
		// another, and the agent would see a forgery.
		_ = wire.below().Close()
		return
	}
	_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now())
}

// cutReason is why the policy ended the exchange; "" = it did not.
func (x *exchange) cutReason() string {
	if reason := x.ended.told(); reason != "" || x.tunnel == nil {
		return reason
	}
	return x.tunnel.ended.told()
}
