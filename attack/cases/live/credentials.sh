# Credentials that the bundle holds, looked for where an agent could find them.
need curl python3
control environment yes "$(env | grep -q '^HTTPS_PROXY=' && echo yes)"
control allowlist "answered 200" "$(fetch http://_egress.local/allowlist)"
attack token-variables absent "$({ env; cat /proc/[0-9]*/environ 2>error | tr '\0' '\n'; } | grep -qE '^(EGRESS_TOKEN|PIPELOCK_|CLAUDE_BOTTLE_SECRETS|EGRESS_CA_KEY)' && echo there || echo absent)"
attack arguments absent "$(cat /proc/[0-9]*/cmdline 2>error | tr '\0' '\n' | grep -q '^EGRESS_[T]OKEN' && echo there || echo absent)"
attack private-keys absent "$(grep -rslE -e '-----BEGIN (OPENSSH |EC |RSA )?PRIVATE [K]EY' /etc /run /var /home /workspace 2>error | grep -v '/claude-bottle-attack' | grep -q . && echo there || echo absent)"
attack allowlist-values absent "$(curl -sS -m 10 http://_egress.local/allowlist 2>error | grep -qiE '"(token|value|secret)" *:' && echo there || echo absent)"
