# Two requests in one: lengths and codings that two readers read differently.
need python3
python <<'PY'
port, origin = int(os.environ["PORT"]), "origin.attack.test"
here = f"{origin}:{port}"
arrives("harmless", "answered 200", Tunnel(origin, port).ask(request("/", here, method="POST", body=b"abc", mark="harmless")))
hidden = request("/hidden", here, mark="hidden")
stopped = "refused malformed|refused authority-mismatch|answered 400|answered 501|closed"
for name, lines, body in [
    ("both lengths", ["Content-Length: 4", "Transfer-Encoding: chunked"], b"0\r\n\r\n" + hidden),
    ("two lengths", ["Content-Length: 0", f"Content-Length: {len(hidden)}"], hidden),
    ("list of lengths", [f"Content-Length: 0, {len(hidden)}"], hidden),
    ("signed length", [f"Content-Length: +{len(hidden)}"], hidden),
    ("hexadecimal length", ["Content-Length: 0x10"], hidden),
    ("odd coding", ["Transfer-Encoding: xchunked"], b"0\r\n\r\n" + hidden),
    ("two codings", ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], b"0\r\n\r\n" + hidden),
    ("coding with a tab", ["Transfer-Encoding:\tchunked", "Content-Length: 5"], b"0\r\n\r\n" + hidden),
    ("space before the colon", ["Transfer-Encoding : chunked", "Content-Length: 5"], b"0\r\n\r\n" + hidden),
    ("folded coding", ["Transfer-Encoding:\r\n chunked", "Content-Length: 5"], b"0\r\n\r\n" + hidden),
    ("chunk extension with LF", ["Transfer-Encoding: chunked"], b"2;\nxx\r\n4c\r\n0\r\n\r\n" + hidden),
    ("broken chunk", ["Transfer-Encoding: chunked"], b"zz\r\n" + hidden),
    ("header with LF", ["X-A: b\nX-C: d"], b""),
    ("header with CR", ["X-A: b\rX-C: d"], b""),
    ("header with NUL", ["X-A: b\0c"], b""),
]:
    attack(name, stopped, Tunnel(origin, port).ask(request("/", here, *lines, method="POST", body=body, mark="smuggled")))
PY
