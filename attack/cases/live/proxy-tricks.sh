# Requests that break the proxy's grammar: nothing leaves, and the proxy goes on.
need curl python3
control before "answered 200" "$(fetch http://_egress.local/allowlist)"
python <<'PY'
stopped = "refused no-route|refused malformed|refused port|refused method|refused authority-mismatch|refused ip-literal|refused upgrade|answered 400|answered 405|answered 431|answered 501|closed"
host = "not-allowed.attack.invalid"
for name, data in {
    "origin form": f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "no host": f"GET http://{host}/ HTTP/1.1\r\n\r\n",
    "two hosts": f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nHost: _egress.local\r\n\r\n",
    "both lengths": f"POST http://{host}/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": f"POST http://{host}/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "odd coding": f"POST http://{host}/ HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "folded header": f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nX: a\r\n b\r\n\r\n",
    "bare LF": f"GET http://{host}/ HTTP/1.1\nHost: {host}\n\n",
    "space before colon": f"GET http://{host}/ HTTP/1.1\r\nHost : {host}\r\n\r\n",
    "http 0.9": f"GET http://{host}/\r\n\r\n",
    "http 2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "h2c upgrade": f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    "trace": f"TRACE http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "connect without port": f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "connect to 80": f"CONNECT {host}:80 HTTP/1.1\r\nHost: {host}:80\r\n\r\n",
    "connect to a large port": f"CONNECT {host}:99999 HTTP/1.1\r\nHost: {host}:99999\r\n\r\n",
    "connect to port 0": f"CONNECT {host}:0 HTTP/1.1\r\nHost: {host}:0\r\n\r\n",
    "connect to a path": f"CONNECT http://{host}:443/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "file": "GET file:///etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "gopher": f"GET gopher://{host}:25/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "user info": f"GET http://user:pass@{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "TLS to the proxy": "\x16\x03\x01\x02\x00\x01\x00",
    "SOCKS 5": "\x05\x01\x00",
    "endless header": "GET http://" + host + "/ HTTP/1.1\r\nHost: " + host + "\r\nX: " + "a" * 300000,
}.items():
    try:
        got = outcome(raw(data.encode("latin-1"), patience=1))
    except OSError:
        got = "closed"
    unfinished = "|no answer" if name in ("TLS to the proxy", "SOCKS 5") else "" # no line has ended yet
    attack(name, stopped + unfinished, got)
PY
control after "answered 200" "$(fetch http://_egress.local/allowlist)"
