# Ways around a rule for paths and methods: dots, encoded slashes, parameters, prefixes.
need curl python3
where="https://paths.attack.test:$PORT"
harmless harmless "$where/org/repository"
for path in /org-evil /organisation /Org /ORG/x / /other /org/../other /org/./../other /org/%2e%2e/other /org/%2E%2E/other /org/..%2fother \
	/org%2f..%2fother /org/%2f/x /org/..%5cother '/org\..\other' /org/x%00 '/org/..;/other' '/org;x/y' //org/../other /x/..//other /%6frg-evil /org/%252e%252e/other/%2f; do
	attack "$path" "refused path|refused malformed" "$(fetch --path-as-is -H "X-Mark: $CASE/path" "$where$path")"
done
for method in POST PUT DELETE PATCH TRACE CONNECT get BREW; do
	attack "method $method" "refused method|refused malformed|failed 52|failed 43" "$(fetch --http1.1 -X $method -H "X-Mark: $CASE/method" "$where/org/repository")"
done
for header in 'X-HTTP-Method-Override: DELETE' 'X-Original-URL: /other' 'X-Rewrite-URL: /other'; do
	arrives "harmless without $header" "answered 200" "$(fetch -H "X-Mark: $CASE/harmless without $header" "$where/org/repository")"
done
for port in 443 80 444 22 8443; do
	attack "port $port" "refused port" "$(fetch "https://paths.attack.test:$port/org")"
done
