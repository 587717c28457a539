# Packets past the bundle: gateways, the host, the container engine, raw sockets, routes.
need python3 getent
python <<'PY'
control("bundle", "connected", reach("egress", 9099))
datagrams()
targets = ["10.0.2.2", "172.17.0.1", "172.18.0.1", "192.168.65.2", "192.168.65.254", "192.168.122.1", "169.254.1.1", "198.18.0.1"]
with open("/proc/net/route") as table:
    for line in list(table)[1:]:
        fields = line.split()
        gateway = socket.inet_ntoa(struct.pack("<I", int(fields[2], 16)))
        net = struct.unpack("<I", struct.pack("<I", int(fields[1], 16)))[0]
        if gateway != "0.0.0.0":
            targets.append(gateway)
        elif net and fields[0] != "lo":
            targets.append(socket.inet_ntoa(struct.pack("<I", net | 0x01000000)))
for target in dict.fromkeys(targets):
    for port in (22, 53, 80, 443, 2375, 8080):
        attack(f"{target}:{port}", "unreachable", reach(target, port))
    attack(f"datagram to {target}", "unreachable", reach(target, 9, socket.SOCK_DGRAM))
for name in ("host.docker.internal", "gateway.docker.internal", "host.containers.internal", "metadata.google.internal", "_gateway"):
    try:
        got = "resolved to " + socket.gethostbyname(name)
    except OSError:
        got = "unreachable"
    attack(name, "unreachable", got)
for name, arguments in {
    "raw": (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP), "raw 6": (socket.AF_INET6, socket.SOCK_RAW, 58),
    "packet": (17, socket.SOCK_RAW, 0x0300), "vsock": (40, socket.SOCK_STREAM, 0), "bluetooth": (31, socket.SOCK_RAW, 1),
    "tipc": (30, socket.SOCK_STREAM, 0), "alg": (38, socket.SOCK_SEQPACKET, 0), "can": (29, socket.SOCK_RAW, 1),
}.items():
    try:
        socket.socket(*arguments).close()
        got = "opened"
    except OSError:
        got = "refused"
    attack(name + " socket", "refused", got)
try:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as ping:
        ping.connect(("1.1.1.1", 0))
        ping.send(b"\x08\0\xf7\xff\0\0\0\0")
        got = sent(ping)
except OSError:
    got = "unreachable"
attack("ping", "unreachable", got)
import fcntl
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    address = struct.pack("<HH4s8x", socket.AF_INET, 0, socket.inet_aton("198.51.100.7"))
    mask = struct.pack("<HH4s8x", socket.AF_INET, 0, socket.inet_aton("255.255.255.255"))
    gateway = struct.pack("<HH4s8x", socket.AF_INET, 0, socket.inet_aton(socket.gethostbyname("egress")))
    route = struct.pack("<Q", 0) + address + gateway + mask + struct.pack("<H", 7)
    for name, call, undo, argument in [("add a route", 0x890B, 0x890C, route.ljust(120, b"\0")),
                                       ("add an address", 0x8916, 0, b"lo:9\0".ljust(16, b"\0") + address[:4] + b"\x7f\x09\x09\x0a" + bytes(8))]:
        try:
            fcntl.ioctl(s, call, argument)
            got = "done"
            if undo:
                fcntl.ioctl(s, undo, argument)
        except OSError:
            got = "refused"
        attack(name, "refused", got)
PY
