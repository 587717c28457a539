# The bundle by other doors: ports that are not the agent's, the firewall's own paths, a forged Host or Origin.
need curl python3
control proxy "answered 200" "$(fetch http://_egress.local/allowlist)"
for path in fetch?url=http://example.com/ ws stats metrics healthz debug/pprof/ allowlist; do
	for door in egress:9099 pipelock:8888 egress:8888; do
		got=$(fetch --noproxy '*' "http://$door/$path")
		case $got in
		"answered 4"* | "answered 501" | "refused "* | unreachable | "failed "*) got=nothing ;;
		esac
		attack "$door/$path" nothing "$got"
	done
done
for port in 9101 2375 2376 22; do
	attack "port $port" unreachable "$(python "$port" <<'PY'
got = reach("egress", int(sys.argv[1]))
print("unreachable" if got == "answered with a refusal" else got)
PY
)"
done
attack proxied-health "refused no-route|refused ip-literal|refused malformed" "$(fetch --noproxy '' http://127.0.0.1:9101/healthz)"
attack proxied-supervise "refused no-route" "$(fetch --noproxy '' http://supervise:9100/mcp)"
for header in 'Host: attack.invalid' 'Origin: https://attack.invalid' 'Origin: null'; do
	got=$(fetch --noproxy '*' -H "$header" -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
		-d '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' http://supervise:9100/mcp)
	case $got in
	"answered 4"* | "refused "* | unreachable) got=nothing ;;
	esac
	attack "supervise with $header" nothing "$got"
done
for path in /../etc/passwd /%2e%2e/%2e%2e/etc/passwd /nowhere.git/info/refs?service=git-upload-pack /.git/config /nowhere.git/HEAD; do
	got=$(fetch --noproxy '*' --path-as-is "http://git-gate:9420$path")
	case $got in
	"answered 3"* | "answered 4"* | "refused "* | unreachable) got=nothing ;;
	esac
	attack "git-gate $path" nothing "$got"
done
