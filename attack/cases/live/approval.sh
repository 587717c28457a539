# Approving one's own proposals, and proposals that are wider than they may be.
need python3 curl
control proxy "answered 200" "$(fetch http://_egress.local/allowlist)"
python <<'PY'
import http.client, json
session = {}
def call(method, params, number=1):
    """The result of an MCP request, or None when there is none."""
    connection = http.client.HTTPConnection("supervise", 9100, timeout=20)
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **session}
    connection.request("POST", "/mcp", json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}), headers)
    response = connection.getresponse()
    if response.getheader("Mcp-Session-Id"):
        session["Mcp-Session-Id"] = response.getheader("Mcp-Session-Id")
    text = response.read().decode()
    for line in [text] + [l[5:] for l in text.splitlines() if l.startswith("data:")]:
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if isinstance(answer, dict) and answer.get("id") == number:
            return answer.get("result")
try:
    call("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "attack", "version": "1"}})
    tools = [t["name"] for t in call("tools/list", {}, 2)["tools"]]
except OSError:
    attack("no one to ask", "unreachable", "unreachable") # the bottle has no supervise role
    sys.exit()
control("tools", "listed", "listed" if "egress-block" in tools else str(tools))
answer = call("tools/call", {"name": "list-egress-routes", "arguments": {}}, 5)
control("call", "answered", "answered" if answer and not answer.get("isError") else str(answer))
for tool in ("approve", "approve-proposal", "decide", "allow", "revoke", "apply-allowlist-change", "reload"):
    attack("tool " + tool, "refused", "offered" if tool in tools else "refused")
    result = call("tools/call", {"name": tool, "arguments": {"proposal_id": "x", "host": "example.com"}}, 3)
    attack("call " + tool, "refused", "refused" if result is None or result.get("isError") else "answered")
why = "The build needs it."
for name, arguments in {
    "any host": {"host": "*", "justification": why}, "wildcard": {"host": "*.attack.invalid", "justification": why},
    "expression": {"host": ".*", "justification": why}, "address": {"host": "169.254.169.254", "justification": why},
    "network": {"host": "10.0.0.0/8", "justification": why}, "two hosts": {"host": "a.invalid b.invalid", "justification": why},
    "a line more": {"host": "a.invalid\nb.invalid", "justification": why}, "bidi": {"host": "a.\u202einvalid", "justification": why},
    "credential": {"host": "a.invalid", "justification": why, "auth": {"token_env": "EGRESS_TOKEN_1"}},
    "networks": {"host": "a.invalid", "justification": why, "networks": ["127.0.0.0/8"]},
    "no reason": {"host": "a.invalid"}, "path tricks": {"host": "a.invalid", "paths": ["/a/../.."], "justification": why},
}.items():
    result = call("tools/call", {"name": "egress-block", "arguments": arguments}, 4)
    got = "refused" if result is None or result.get("isError") else "filed " + json.dumps(result.get("structuredContent", ""))
    attack(name, "refused", got)
PY
