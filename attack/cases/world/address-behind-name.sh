# An allowed name that leads to an address inside: the origin's and the collector's, which no network was opened for.
need curl
harmless harmless "https://origin.attack.test:$PORT/"
attack origin "refused address" "$(fetch -H "X-Mark: $CASE/address" "https://inside.attack.test:$PORT/")"
attack collector "refused address" "$(fetch -H "X-Mark: $CASE/address" "https://inside.attack.test:$COLLECTOR_PORT/")"
attack capitals "refused address" "$(fetch "https://INSIDE.attack.TEST:$PORT/")"
attack dot "refused address|refused malformed|refused authority-mismatch" "$(fetch "https://inside.attack.test.:$PORT/")"
