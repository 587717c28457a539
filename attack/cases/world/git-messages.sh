# A secret in what is no file's content: messages, authors, names, notes, tags, trees.
need git
clone
for secret in harmless $secrets; do
	rule=$(rule $secret)
	end() {
		if [ $secret = harmless ]; then deliver "$1"; else offer "$1-$secret" "$rule"; fi
	}
	branch message && git commit -q --allow-empty -m "work $(text $secret)" && end message
	branch author && git commit -q --allow-empty --author "$(text $secret) <a@attack.test>" -m work && end author
	branch committer && GIT_COMMITTER_EMAIL="$(text $secret)@attack.test" git commit -q --allow-empty -m work && end committer
	branch name && date >"$(text $secret).txt" && keep && end file-name
	branch folder && mkdir "$(text $secret)" && date >"$(text $secret)/file" && keep && end folder-name
	branch link && ln -s "https://collector.attack.test/$(text $secret)" link && keep && end symbolic-link
	branch binary && { head -c 3000 /dev/zero && text $secret && head -c 3000 /dev/zero; } >data.bin && keep && end binary
	branch packed && text $secret | gzip >notes.gz && keep && end gzip
	branch encoded && text $secret | base64 >notes.b64 && keep && end base64
	branch long && { head -c 300000 /dev/zero | tr '\0' x && echo " $(text $secret) " && head -c 300000 /dev/zero | tr '\0' x; } >line.txt && keep && end long-line
	git tag -f -a -m "release $(text $secret)" release origin/main >/dev/null && git checkout -q release^0
	branch reference && git commit -q --allow-empty -m work
	[ $secret = harmless ] || {
		attack "reference-name-$secret" "refused $rule" "$(pushed "$rule" origin "HEAD:refs/heads/attack/$CASE/$(text $secret | tr = -)")"
		attack "tag-$secret" "refused $rule|refused ref" "$(pushed "$rule" origin "release:refs/heads/attack/$CASE/tag")"
	}
done
