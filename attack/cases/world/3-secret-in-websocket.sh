# A secret in the frames of an allowed WebSocket, in trailers, and in a body that streams.
need python3
python <<'PY'
import base64
port, origin = int(os.environ["PORT"]), "origin.attack.test"
here = f"{origin}:{port}"
shapes = {n.lower().replace("_", "-"): os.environ[n] for n in os.environ if n.startswith(("KNOWN_", "SHAPE_"))}
shapes["shape-generic"] = "api_key=" + shapes["shape-generic"]
def frame(data, opcode=1, fin=True):
    mask = b"\1\2\3\4"
    head = bytes([opcode | (0x80 if fin else 0)])
    head += bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))
def speak(name, frames):
    tunnel = Tunnel(origin, port)
    opened = tunnel.ask(request("/socket", here, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                                "Sec-WebSocket-Key: " + base64.b64encode(b"0123456789abcdef").decode(), mark=name))
    if opened != "answered 101":
        return "did not open: " + opened
    tunnel.socket.settimeout(5)
    try:
        for f in frames:
            tunnel.socket.sendall(f)
        answer = tunnel.socket.recv(4096)
    except (OSError, ssl.SSLError):
        answer = b""
    return "echoed" if answer[:1] in (b"\x81", b"\x82") else "closed"
arrives("harmless", "echoed", speak("harmless", [frame(b"the quick brown fox")]))
for name, value in shapes.items():
    data = value.encode()
    attack("text " + name, "closed", speak("harmless handshake", [frame(data)]))
    attack("binary " + name, "closed", speak("harmless handshake", [frame(data, 2)]))
    attack("fragments " + name, "closed", speak("harmless handshake", [frame(data[:9], 1, False), frame(data[9:], 0)]))
    attack("base64 " + name, "closed", speak("harmless handshake", [frame(base64.b64encode(data))]))
    attack("ping " + name, "closed", speak("harmless handshake", [frame(data[:120], 9), frame(b"x")]))
def chunks(parts, trailer=""):
    body = b"".join(f"{len(p):x}\r\n".encode() + p + b"\r\n" for p in parts) + b"0\r\n" + trailer.encode() + b"\r\n"
    return body
def post(mark, body, *lines):
    return Tunnel(origin, port).ask(request("/upload", here, "Transfer-Encoding: chunked", *lines, method="POST", body=body, mark=mark))
arrives("harmless chunks", "answered 200", post("harmless chunks", chunks([b"the quick", b" brown fox"])))
for name, value in shapes.items():
    data = value.encode()
    attack("one byte chunks " + name, "refused secret|closed", post("attack", chunks([data[i:i + 1] for i in range(len(data))])))
    attack("trailer " + name, "refused secret|refused malformed|closed", post("attack", chunks([b"x"], f"X-Note: {value}\r\n"), "Trailer: X-Note"))
PY
