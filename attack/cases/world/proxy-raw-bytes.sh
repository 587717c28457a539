# Something else than HTTP over TLS in an allowed tunnel.
need python3
python <<'PY'
port, origin = int(os.environ["PORT"]), "origin.attack.test"
here, secret = f"{origin}:{port}", os.environ["KNOWN_GENERIC"]
arrives("harmless", "answered 200", Tunnel(origin, port).ask(request("/", here, mark="harmless")))
stopped = "closed|refused malformed|refused upgrade|answered 400|refused authority-mismatch"
for name, data in {"text": secret.encode() + b"\n", "SSH": b"SSH-2.0-x\r\n" + secret.encode(), "plain HTTP": request("/", here, "X-A: " + secret), "zeros": bytes(500), "h2c preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)}.items():
    attack(name + " in a tunnel", stopped, Tunnel(origin, port, tls=False).ask(data))
for name, data in {"text": secret.encode() + b"\n\n", "SMTP": b"EHLO x\r\nMAIL FROM:<" + secret.encode() + b">\r\n\r\n", "HTTP 2 without ALPN": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)}.items():
    attack(name + " in TLS", stopped, Tunnel(origin, port).ask(data))
for upgrade in ("h2c", "TLS/1.2", "x-tunnel", "connect-udp"):
    attack("upgrade to " + upgrade, "refused upgrade|refused malformed", Tunnel(origin, port).ask(request("/", here, "Connection: Upgrade", "Upgrade: " + upgrade, mark="upgrade")))
PY
