# References that the rules do not let the agent touch, and one bad one among good ones.
need git
clone
branch good && date >good && keep && deliver good
git checkout -q -B other good && git commit -q --amend -m other
attack force "refused force" "$(pushed force -f origin "HEAD:refs/heads/control/$CASE/good")"
attack delete "refused delete" "$(pushed delete origin :refs/heads/main)"
attack tag "refused ref" "$(pushed ref origin "HEAD:refs/tags/attack/$CASE")"
attack notes "refused ref" "$(pushed ref origin "HEAD:refs/notes/attack/$CASE")"
attack pull "refused ref" "$(pushed ref origin "HEAD:refs/pull/1/attack/$CASE")"
secret=known-aws
branch bad && text known-aws >bad && keep
for also in -q --atomic; do
	attack "one of two $also" "refused known-secret" "$(pushed known-secret $also origin "good:refs/heads/attack/$CASE/good$also" "bad:refs/heads/attack/$CASE/bad$also")"
done
attack push-option "refused option" "$(git push -o "ci.variable=$(text known-aws)" origin "good:refs/heads/attack/$CASE/option" >../push 2>&1 && echo pushed || echo refused option)"
