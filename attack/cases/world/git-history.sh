# A secret that a later commit of the same push removes, and one in a merge's second parent.
need git
secret=known-anthropic
clone
branch later
date >notes && keep one && date >>notes && keep two
deliver later
branch removed
text known-anthropic >notes && keep one && git rm -q notes && git commit -q -m two
offer removed known-secret
branch rewritten
text shape-aws >notes && keep one && echo nothing >notes && keep two && echo more >>notes && keep three
offer rewritten aws-access-token
branch side
text known-generic >notes && keep side && git rm -q notes && git commit -q -m clean
git checkout -q -f -B merge origin/main && git merge -q --no-ff -s ours -m merge side
offer second-parent known-secret
git checkout -q --orphan orphan && git rm -qrf --ignore-unmatch . && text known-aws >notes && keep orphan
offer orphan known-secret
