# What the cases written in Python share.
import ctypes, os, select, socket, ssl, struct, sys, threading, time

case = os.environ["CASE"]

def say(kind, name, want, got):
    print("\t".join([kind, name, want, got.replace("\n", " ").replace("\t", " ")]), flush=True)

def attack(name, want, got): say("attack", name, want, got)
def control(name, want, got): say("control", name, want, got)
def arrives(name, want, got): say("arrives", name, want, got)

libc = ctypes.CDLL(None, use_errno=True)

def gvisor():
    """Whether the bottle's kernel is gVisor's. It alone shows a bottle the
    kernel's log, which begins with its name; others refuse that call."""
    log = ctypes.create_string_buffer(1 << 17)
    return libc.klogctl(3, log, len(log)) > 0 and log.value.split(b"\n")[0].endswith(b"] Starting gVisor...")

def sent(s):
    """The word for a datagram that could be sent from s. The host's kernel sends
    where there is a way out; gVisor takes what may vanish on the wire, so that
    there only an answer shows one, and a world that heard it."""
    if not gvisor():
        return "sent"
    return "answered" if select.select([s], [], [], 0.5)[0] else "unreachable"

def datagrams():
    """The control of datagrams: one that is answered is told apart."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(10)
        threading.Thread(target=lambda: s.sendto(b"x", s.recvfrom(512)[1]), daemon=True).start()
        control("datagrams", "answered", reach("127.0.0.1", s.getsockname()[1], socket.SOCK_DGRAM))

def reach(host, port, kind=socket.SOCK_STREAM, family=socket.AF_INET, say_something=b""):
    """Whether anything at all is at an address. A refused connection was
    answered, so it counts, except on loopback, which is the bottle itself."""
    try:
        with socket.socket(family, kind) as s:
            s.settimeout(2)
            s.connect((host, port))
            if kind == socket.SOCK_STREAM and not say_something:
                return "connected"
            s.send(say_something or b"x")
            if kind == socket.SOCK_DGRAM:
                s.settimeout(0.5)
                try:
                    return "answered" if s.recv(512) is not None else ""
                except TimeoutError:
                    return sent(s)
            return "connected"
    except ConnectionRefusedError:
        return "unreachable" if host.startswith("127.") or host == "::1" else "answered with a refusal"
    except OSError:
        return "unreachable"

def raw(data, host="egress", port=9099, patience=10):
    """Sends bytes to the proxy and returns the first bytes of the answer;
    b"nothing" when there was none in time and the connection stands."""
    with socket.create_connection((host, port), patience) as s:
        s.sendall(data)
        return read(s)

def read(s):
    answer = b""
    try:
        while len(answer) < 1 << 16:
            more = s.recv(4096)
            if not more:
                break
            answer += more
            head, end, body = answer.partition(b"\r\n\r\n")
            length = [l.split(b":")[1] for l in head.lower().split(b"\r\n") if l.startswith(b"content-length:")]
            if end and (head.split(b" ")[1:2] == [b"101"] or length and len(body) >= int(length[0])):
                break
    except TimeoutError:
        return answer or b"nothing"
    except (ConnectionError, ssl.SSLError):
        pass
    return answer

def outcome(answer):
    """The word for an answer, as lib.sh has it."""
    if answer == b"nothing":
        return "no answer"
    if not answer.startswith(b"HTTP/1."):
        return "closed" if not answer else "answered with bytes"
    status = answer.split(b" ")[1].decode()
    for line in answer.split(b"\r\n\r\n")[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"x-claude-bottle-block":
            return "refused " + value.strip().decode()
    return "answered " + status

class Tunnel:
    """A TLS connection to host:port through the proxy; None as SNI sends none.
    answer is the refusal when there is no tunnel."""
    def __init__(self, host, port, sni="", tls=True, alpn=("http/1.1",)):
        self.socket, self.answer = socket.create_connection(("egress", 9099), 10), b""
        self.socket.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            more = self.socket.recv(1)
            if not more:
                break
            head += more
        if not head.startswith(b"HTTP/1.1 200"):
            self.answer = head
            return
        if not tls:
            return
        context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
        context.check_hostname = False
        context.set_alpn_protocols(list(alpn))
        try:
            self.socket = context.wrap_socket(self.socket, server_hostname=host if sni == "" else sni)
        except (OSError, ssl.SSLError):
            self.answer = b"closed"

    def ask(self, data):
        """The word for what came of sending bytes through it."""
        if self.answer:
            return "closed" if self.answer == b"closed" else outcome(self.answer)
        try:
            self.socket.sendall(data)
        except OSError:
            return "closed"
        return outcome(read(self.socket))

def request(target, host, *lines, method="GET", body=b"", mark=""):
    head = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    if mark:
        head.append(f"X-Mark: {case}/{mark}")
    if body and not any(l.lower().startswith(("content-length", "transfer-encoding")) for l in lines):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join(head + list(lines) + ["", ""]).encode("latin-1") + body

