package agentenv

import "strings"

const (
	aboutNetwork = `# Where you work

You work in a bottle. Its network leads to one proxy, which the environment
already names, and the proxy lets through what the operator allowed. A refused
request is answered with status 403 and a JSON body that tells the rule and the
remedy; http://_egress.local/allowlist tells what is allowed. Credentials are
added on the way out: you need none, and a placeholder is what you should find.
`
	aboutSupervise = `
When a host, method or path that you need is refused, ask for it with the tools
of the MCP server "supervise" (egress-block, pipelock-block, capability-block)
and say what it is for. A person decides. If the answer is "pending", go on with
other work and look again with check-proposal; do not try ways around.
`
	aboutGit = `
Use git as usual for the repositories declared for this bottle: fetches and
pushes go through a gate that scans what is pushed. A refusal says what was
found and where.
`
)

// instructions is what coding agents read first: how the bottle works, then the
// agent file's prompt.
func instructions(o Options) []byte {
	var b strings.Builder
	b.WriteString(aboutNetwork)
	if o.Supervise {
		b.WriteString(aboutSupervise)
	}
	if len(o.Repos) > 0 {
		b.WriteString(aboutGit)
	}
	if o.Prompt != "" {
		b.WriteString("\n" + o.Prompt + "\n")
	}
	return []byte(b.String())
}
