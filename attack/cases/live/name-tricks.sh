# Names that look like an allowed one: suffixes, wildcards, dots, case, Unicode, control characters.
need curl python3
control proxy "answered 200" "$(fetch http://_egress.local/allowlist)"
python <<'PY'
import json
body = raw(b"GET http://_egress.local/allowlist HTTP/1.1\r\nHost: _egress.local\r\nConnection: close\r\n\r\n").partition(b"\r\n\r\n")[2]
hosts = []
def walk(tree):
    if isinstance(tree, dict):
        hosts.extend(v for k, v in tree.items() if k == "host" and isinstance(v, str))
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree: walk(branch)
walk(json.loads(body))
exact = [h for h in hosts if not h.startswith("*")] + ["allowed.attack.invalid"]
wild = [h[2:] for h in hosts if h.startswith("*.")]
stopped = "refused no-route|refused malformed|refused ip-literal|refused secret"
def attempt(name, host, want=stopped):
    if any(host.endswith(b"." + w.encode()) for w in wild):
        return # allowed after all
    line = b"CONNECT " + host + b":443 HTTP/1.1\r\nHost: " + host + b":443\r\n\r\n"
    attack(name, want + "|answered 400|closed", outcome(raw(line)))
for host in exact[:1]:
    h = host.encode()
    for name, trick in {
        "prefix": b"evil-" + h, "suffix": h + b".evil.invalid", "glued": h + b"evil.invalid", "label": b"a." + h,
        "backslash": h + b"\\.evil.invalid", "at sign": h + b"@evil.invalid", "user": b"user:pass@" + h, "hash": b"evil.invalid#." + h,
        "slash": b"evil.invalid/." + h, "question mark": b"evil.invalid?." + h, "NUL": b"evil.invalid\0." + h, "tab": b"evil.invalid\t." + h,
        "percent": b"evil.invalid%2f." + h, "percent NUL": b"evil.invalid%00." + h, "percent dot": b"evil%2einvalid", "two dots": h + b"..",
        "empty label": b"evil.invalid.." + h, "leading dot": b"." + h, "star": b"*." + h, "line feed": b"evil.invalid\n." + h,
        "CR LF": b"evil.invalid\r\nX: ." + h, "ideographic dot": h.replace(b".", "。".encode()) + b".evil.invalid", "full width": "ｅvil.invalid".encode(),
        "soft hyphen": "evil\u00ad.invalid".encode(), "zero width": "evil\u200b.invalid".encode(), "right to left": "evil\u202e.invalid".encode(),
        "not UTF-8": b"evil\xff.invalid", "bad punycode": b"xn--a." + h + b".invalid", "long": b"a" * 70 + b".invalid", "two ports": b"evil.invalid:443",
    }.items():
        attempt(name, trick)
for host in wild[:1]:
    attempt("apex of a wildcard", host.encode())
    attempt("glued to a wildcard", b"evil" + host.encode())
PY
