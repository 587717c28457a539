# Clients that ignore the proxy, or are told to.
need curl git python3
control proxied "answered 200" "$(fetch http://_egress.local/allowlist)"
for all in NO_PROXY no_proxy; do
	attack "$all" unreachable "$(env "$all=*" curl -sS -m 5 -o body https://1.1.1.1/ 2>error && echo reached || echo unreachable)"
done
attack unset unreachable "$(env -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY curl -sS -m 5 -o body https://example.com/ 2>error && echo reached || echo unreachable)"
attack socks unreachable "$(curl -sS -m 2 -x socks5h://egress:9099 -o body https://example.com/ 2>error && echo reached || echo unreachable)"
attack git unreachable "$(timeout 10 git -c http.proxy= ls-remote https://1.1.1.1/a.git >out 2>error && echo reached || echo unreachable)"
attack git-protocol unreachable "$(timeout 10 git ls-remote git://192.0.2.1/a.git >out 2>error && echo reached || echo unreachable)"
attack ssh unreachable "$(GIT_SSH_COMMAND='ssh -o BatchMode=yes -o ConnectTimeout=3' timeout 10 git ls-remote ssh://git@192.0.2.1/a.git >out 2>error && echo reached || echo unreachable)"
python <<'PY'
import urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    opener.open("http://1.1.1.1/", timeout=3)
    got = "reached"
except OSError:
    got = "unreachable"
attack("python", "unreachable", got)
PY
