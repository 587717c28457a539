package demo

// What the demo tells, in the order in which things happen. A step's text says
// what the agent tried; its outcome is what must come of it. Where the outcome
// ends in "…" only the beginning must match.
type step struct {
	id, outcome, text string
}

var steps = []step{
	{"environment", "written", "the agent wrote down its whole environment and that of every process it can see"},
	{"inject", "200", "GET api.demo.test/v1/me: an API that demands a token the agent does not have"},
	{"inject-body", "hello, demo user", "  the bundle added the token, and the API answered"},
	{"own-credential", "200", "the same with somebody else's token in the agent's own header"},
	{"own-credential-body", "hello, demo user", "  the agent's header was taken off, only ours arrived"},
	{"path", "403 path", "GET api.demo.test/admin: a path that is not listed"},
	{"prefix", "403 path", "GET api.demo.test/v1-evil/me: a path that only looks like /v1"},
	{"method", "403 method", "DELETE api.demo.test/v1/me: a method that is not listed"},
	{"host", "403 no-route", "GET collector.demo.test: a host that is not listed"},
	{"literal", "403 ip-literal", "the same server by its address"},
	{"port", "403 port", "a listed host at a port that is not listed"},
	{"direct-origin", "unreachable", "the server, without the proxy"},
	{"direct-internet", "unreachable", "the internet, without the proxy"},
	{"metadata", "unreachable", "the cloud's metadata address"},
	{"bundle", "reached", "the bundle itself: the one address there is"},
	{"git-fetch", "a repository", "git clone https://git.demo.test/demo.git"},
	{"git-push", "refused", "git push to it: writing goes through the git gate or not at all"},
	{"before-change", "403 no-route", "GET docs.demo.test, while an event stream runs"},
	{"stream-open", "…", "an event stream is open; events so far"},
	{"after-change", "200", "GET docs.demo.test again"},
	{"ask-refused", "waiting", "the agent asks, over MCP, for collector.demo.test and waits"},
	{"asked-no", "rejected…", "  the answer: rejected"},
	{"ask-approved", "waiting", "the agent asks for new.demo.test and waits"},
	{"asked-yes", "approved…", "  the answer: approved, and in force"},
	{"after-approval", "200", "GET new.demo.test"},
	{"stream-end", "0 complete", "the event stream ran through all of this; curl's exit code and the last event"},
}

const (
	textWorld    = "\nA bottle is coming up. Its servers are this machine's own; every name below\ndemo.test is one of them.\n\n"
	textStandIn  = "pipelock is not installed here; that role runs on a stand-in with the same behaviour\n"
	textUnknown  = "pipelock is installed here, but the names below demo.test exist for this demo alone; that role runs on a stand-in\n"
	textNoChild  = "the stand-in for pipelock was not built; the bundle runs without that role\n"
	textChanged  = "     the operator added docs.demo.test (SIGHUP) and replaced the firewall child (SIGUSR1)\n"
	textHangup   = "     the operator added docs.demo.test (SIGHUP)\n"
	textRejected = "     the operator read the proposal and said no\n"
	textApproved = "     the operator read the proposal, put the rule in force and said yes\n"

	textNoToken   = "the token is nowhere in the agent's environment"
	textCollected = "the page nobody may reach was asked 0 times"
	textNoLookup  = "its name was never looked up"
	textNoLeak    = "no foreign credential reached the API"
	textAudit     = "the audit chain of %d lines verifies"
	textHeld      = "\nEverything was as told.\n"
)
