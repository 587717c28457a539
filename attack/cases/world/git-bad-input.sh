# Pushes that no git sends: broken lines, packs that are cut, damaged, incomplete or grow without end.
need git python3
clone
branch good && date >good && keep
deliver good
PACK=$(git rev-parse HEAD | git pack-objects --revs --stdout -q | base64 -w0)
BLOBS=$(git rev-parse HEAD:good | git pack-objects --stdout -q | base64 -w0)
export PACK BLOBS
TIP=$(git rev-parse HEAD) URL=$(git config --get remote.origin.url) python <<'PY'
import base64, hashlib, http.client, zlib
tip, none, name = os.environ["TIP"], "0" * 40, os.environ["URL"].rstrip("/").rpartition("/")[2].removesuffix(".git")
pack, blob = base64.b64decode(os.environ["PACK"]), base64.b64decode(os.environ["BLOBS"])
def line(text): return f"{len(text) + 4:04x}{text}".encode()
def command(ref, new=tip, old=none, more=" report-status side-band-64k agent=git/2.39.5"):
    return line(f"{old} {new} {ref}\0{more}") + b"0000"
def summed(objects, count): # a pack with a right checksum
    body = b"PACK" + struct.pack(">II", 2, count) + objects
    return body + hashlib.sha1(body).digest()
def entry(kind, size, data): # an object that says it has so many bytes
    first, size = kind << 4 | size & 15, size >> 4
    head = bytearray()
    while size:
        head.append(first | 0x80)
        first, size = size & 127, size >> 7
    return bytes(head) + bytes([first]) + data
def post(body, path=f"/{name}.git/git-receive-pack", **headers):
    connection = http.client.HTTPConnection("git-gate", 9420, timeout=60)
    connection.request("POST", path, body, {"Content-Type": "application/x-git-receive-pack-request", **headers})
    response = connection.getresponse()
    answer = response.read()
    if b"\nok " in answer or b"ok refs/" in answer:
        return "pushed"
    if response.status == 403 or b"ng refs/" in answer or b"git-gate: refused" in answer:
        return "refused"
    return f"answered {response.status} {answer[:80]!r}"
control("probe", "answered 200 b''", post(b"0000"))
ref = f"refs/heads/attack/{os.environ['CASE']}/x"
zeros = zlib.compress(bytes(1 << 20), 9)
for trick, body in {
    "nothing": b"", "no length": b"zzzz" + pack, "short length": b"0003" + pack, "length too long": b"fff5" + b"x" * 70000, "cut line": b"00a0" + tip.encode(),
    "delimiter": b"0001" + command(ref) + pack, "no reference": line(f"{none} {tip}\0 report-status") + b"0000" + pack,
    "reference outside": command("heads/x") + pack, "reference with dots": command("refs/heads/../../x") + pack, "reference with a line": command("refs/heads/x\ny") + pack,
    "twice": line(f"{none} {tip} {ref}\0 report-status") + line(f"{none} {tip} {ref}") + b"0000" + pack,
    "ids of another format": command(ref, new="1" * 64, old="0" * 64) + pack, "another format": command(ref, more=" report-status object-format=sha256") + pack,
    "certificate": line("push-cert\0 report-status\n") + b"0000" + pack, "capability not offered": command(ref, more=" report-status side-band-64k frobnicate") + pack,
    "no pack": command(ref), "cut pack": command(ref) + pack[:-30], "wrong checksum": command(ref) + pack[:-1] + bytes([pack[-1] ^ 1]),
    "something behind": command(ref) + pack + b"x", "changed byte": command(ref) + pack[:40] + bytes([pack[40] ^ 4]) + pack[41:],
    "version 3": command(ref) + summed(b"", 0)[:4] + struct.pack(">II", 3, 0) + bytes(20), "more objects than it says": command(ref) + summed(blob[12:-20], 0),
    "fewer objects than it says": command(ref) + summed(blob[12:-20], 2), "four billion objects": command(ref) + summed(blob[12:-20], 0xffffffff),
    "object of 8 GB": command(ref) + summed(entry(3, 8 << 30, zeros), 1), "object longer than it says": command(ref) + summed(entry(3, 10, zeros), 1),
    "object shorter than it says": command(ref) + summed(entry(3, 2 << 20, zeros), 1), "commit of 64 MB": command(ref) + summed(entry(1, 64 << 20, zeros), 1),
    "delta that grows to 64 GB": command(ref) + summed(entry(3, 1 << 20, zeros) + entry(7, 12, hashlib.sha1(b"blob 1048576\0" + bytes(1 << 20)).digest() + zlib.compress(b"\x80\x80\x40\x80\x80\x80\x80\x80\x04\xb0\x00\x00")), 2),
    "delta of a base that is not there": command(ref) + summed(entry(7, 4, b"\x11" * 20 + zlib.compress(b"\x01\x01\x01a")), 1),
    "delta of itself": command(ref) + summed(entry(6, 4, b"\x00" + zlib.compress(b"\x01\x01\x01a")), 1),
    "no such type": command(ref) + summed(entry(5, 0, zlib.compress(b"")), 1), "not deflated": command(ref) + summed(entry(3, 4, b"abcd"), 1),
}.items():
    attack(trick, "refused", post(body))
attack("not gzip", "refused", post(command(ref) + pack, **{"Content-Encoding": "gzip"}))
attack("other coding", "refused", post(command(ref) + pack, **{"Content-Encoding": "br"}))
attack("gzip without end", "refused", post(b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + zlib.compress(command(ref) + pack)[2:-9], **{"Content-Encoding": "gzip"}))
for path in (f"/{name}.git/git-upload-archive", f"/../{name}.git/git-receive-pack", f"/{name}.git/../other.git/git-receive-pack", "/other.git/git-receive-pack", f"/{name}.git/info/lfs/objects/batch"):
    attack("path " + path, "refused|answered 307 b''|answered 301 b''", post(command(ref) + pack, path))
control("after", "answered 200 b''", post(b"0000"))
PY
branch after && date >after && keep
deliver after
