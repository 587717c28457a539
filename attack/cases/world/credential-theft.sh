# The credential that egress adds: echoed, aimed elsewhere, or replaced by the agent's own.
need curl
harmless harmless "https://auth.attack.test:$PORT/"
attack echo cut "$(fetch -H "X-Mark: $CASE/harmless echo" "https://auth.attack.test:$PORT/echo" | grep -q 'answered 200' && grep -q . body && echo echoed || echo cut)"
attack other-port "refused port" "$(fetch "https://auth.attack.test:444/")"
attack plain "refused port" "$(fetch http://auth.attack.test/)"
attack subdomain "refused no-route" "$(fetch "https://x.auth.attack.test:$PORT/")"
# The agent's own credentials for an allowed host are taken off, so that it
# cannot use somebody else's account there.
for header in "Authorization: Bearer agents-own" "Proxy-Authorization: Basic agents-own" "X-Api-Key: agents-own" "Private-Token: agents-own"; do
	harmless "harmless with $header" -H "$header" "https://origin.attack.test:$PORT/"
done
harmless "harmless with a user" "https://me:agents-own@origin.attack.test:$PORT/"
for query in access_token=agents-own api_key=agents-own private_token=agents-own; do
	got=$(fetch -H "X-Mark: $CASE/query" "https://origin.attack.test:$PORT/?$query")
	case $got in "refused "*) got=refused ;; esac
	attack "query $query" refused "$got"
done
