# One allowed name for the tunnel, another for TLS or for the request in it.
need python3
python <<'PY'
port = int(os.environ["PORT"])
origin, collector, paths = "origin.attack.test", "collector.attack.test", "paths.attack.test"
here = f"{origin}:{port}"
mismatch = "refused authority-mismatch|closed"
arrives("harmless", "answered 200", Tunnel(origin, port).ask(request("/", here, mark="harmless")))
attack("SNI of a host not allowed", mismatch, Tunnel(origin, port, sni=collector).ask(request("/", here, mark="sni")))
attack("SNI of another allowed host", mismatch, Tunnel(origin, port, sni=paths).ask(request("/", here, mark="sni-allowed")))
attack("no SNI", mismatch + "|refused malformed", Tunnel(origin, port, sni=None).ask(request("/", here, mark="no-sni")))
for name, host in {"host not allowed": collector, "other allowed host": paths + f":{port}", "other port": f"{origin}:444", "trailing": here + ".evil.test",
                   "user": "x@" + here, "empty": "", "list": here + ", " + collector, "literal": "127.0.0.1"}.items():
    attack("Host: " + name, mismatch + "|refused malformed|answered 400", Tunnel(origin, port).ask(request("/", host, mark="host")))
attack("absolute form inside", mismatch + "|refused malformed", Tunnel(origin, port).ask(request(f"https://{collector}/", here, mark="absolute")))
attack("absolute form to another scheme", mismatch + "|refused malformed", Tunnel(origin, port).ask(request(f"http://{origin}/", here, mark="scheme")))
second = request("/", here, mark="harmless") + request("/", collector, mark="pipelined")
tunnel = Tunnel(origin, port)
tunnel.ask(request("/", here, mark="harmless"))
attack("second request of a connection", mismatch, tunnel.ask(request("/", collector, mark="second")))
attack("tunnel in a tunnel", mismatch + "|refused method|refused malformed|answered 400|answered 405", Tunnel(origin, port).ask(request(f"{collector}:443", f"{collector}:443", method="CONNECT", mark="connect")))
attack("forwarded", "refused port|refused no-route|refused malformed", outcome(raw(request(f"http://{origin}:{port}/", here, mark="plain"))))
PY
