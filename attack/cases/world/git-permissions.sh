# Files in the push that tell scanners to look away: they change nothing.
need git
secret=shape-aws
clone
branch control && printf 'note = "nothing" # gitleaks:allow\n' >config.py && keep && deliver comment
branch comment && printf 'key = "%s" # gitleaks:allow\n' "$(text shape-aws)" >config.py && keep && offer comment aws-access-token
branch config && printf 'key = "%s"\n' "$(text shape-aws)" >config.py
printf '[extend]\nuseDefault = false\n[allowlist]\npaths = [".*"]\n' >.gitleaks.toml && keep && offer gitleaks-toml aws-access-token
branch ignore && printf 'key = "%s"\n' "$(text shape-aws)" >config.py && keep
printf '%s:config.py:aws-access-token:1\n' "$(git rev-parse HEAD)" >.gitleaksignore && keep && offer gitleaksignore aws-access-token
branch lock && printf '{"key": "%s"}\n' "$(text shape-aws)" >package-lock.json && keep && offer lock-file aws-access-token
branch vendor && mkdir -p node_modules/x vendor && text shape-aws >node_modules/x/a.min.js && keep && offer vendored aws-access-token
branch attributes && printf '* binary -diff export-ignore\n' >.gitattributes && text shape-aws >config.py && keep && offer gitattributes aws-access-token
branch example && printf 'key = "%sEXAMPLE" "%s"\n' "$(text shape-aws)" "$(text shape-aws)" >example.py && keep && offer example aws-access-token
