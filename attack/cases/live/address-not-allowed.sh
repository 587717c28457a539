# An IP literal that is not allowed, in every spelling, also with a spoofed Host and without the proxy.
need curl python3
control proxy "answered 200" "$(fetch http://_egress.local/allowlist)"
literal="refused ip-literal|refused malformed|refused no-route"
for address in 1.1.1.1 192.0.2.1 127.0.0.1 0.0.0.0 10.0.0.1 169.254.169.254 100.100.100.200 \
	3221225985 0xc0000201 0300.0.2.1 127.1 '[::1]' '[::ffff:192.0.2.1]' '[64:ff9b::c000:201]' '[fd00:ec2::254]'; do
	attack "https $address" "$literal" "$(fetch --noproxy '' "https://$address/")"
	attack "plain $address" "$literal" "$(fetch --noproxy '' "http://$address/")"
	attack "spoofed $address" "$literal|refused authority-mismatch" "$(fetch --noproxy '' -H 'Host: _egress.local' "http://$address/")"
done
python <<'PY'
control("direct", "connected", reach("egress", 9099))
datagrams()
for spelling in ["192.0.2.1", "3221225985", "0xc0000201", "0300.0.2.1", "192.0.513", "192.0.2.1.", "%31%39%32.0.2.1", "①92.0.2.1",
                 "[::ffff:c000:201]", "[fe80::1%25lo]", "::1", "localhost", "ip6-localhost", "egress", "supervise"]:
    line = f"CONNECT {spelling}:443 HTTP/1.1\r\nHost: _egress.local\r\n\r\n".encode()
    attack("connect " + spelling, "refused ip-literal|refused malformed|refused no-route", outcome(raw(line)))
for address in ["1.1.1.1", "8.8.8.8", "192.0.2.1", "169.254.169.254", "10.0.0.1", "172.17.0.1", "192.168.0.1", "100.100.100.200"]:
    for port in [22, 80, 443]:
        attack(f"direct {address}:{port}", "unreachable", reach(address, port))
    attack(f"datagram {address}", "unreachable", reach(address, 443, socket.SOCK_DGRAM))
for address in ["2606:4700:4700::1111", "fd00:ec2::254", "fe80::1"]:
    attack(f"direct {address}", "unreachable", reach(address, 443, family=socket.AF_INET6))
PY
