package secretscan_test

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/secretscan"
)

// twoKeys begin alike, as two keys of one service do.
var twoKeys = []string{
	"sk-ant-api03-Qm3xT8vKc1Ws6Zp0Yh5Rn2Jd9Lf4Bg7Ua-kE_wMiXoNtVzCrGyHbSqPlDjFeAu",
	"sk-ant-api03-Hs7yB2nVg4Xk9Jc0Mw5Tz8Rq1Fd6Lp3Ea_oI-uKvWxZtYrNmSbGhCjDlQfPaUe",
}

// TestPiecesOfKeysThatBeginAlike: the first key does not take the pieces of the
// second.
func TestPiecesOfKeysThatBeginAlike(t *testing.T) {
	for i, key := range twoKeys {
		var fields []string
		for at := 0; at < len(key); at += 12 {
			fields = append(fields, key[at:min(len(key), at+12)])
		}
		s, err := secretscan.New(twoKeys, secretscan.WithoutRules())
		if err != nil {
			t.Fatal(err)
		}
		if s.Text("body", strings.Join(fields, `", "x": "`)) == nil {
			t.Errorf("key %d in pieces was not found", i)
		}
		if s.Text("body", fields[0]) != nil {
			t.Error("control: one piece was taken for the key")
		}
	}
}

// TestRefusedPiecesStayRefused: the piece that makes a value whole is refused
// however often it comes, also with less around it.
func TestRefusedPiecesStayRefused(t *testing.T) {
	key := twoKeys[0]
	s, err := secretscan.New(twoKeys, secretscan.WithoutRules())
	if err != nil {
		t.Fatal(err)
	}
	if s.Text("first request", key[:16]) != nil || s.Text("second request", key[48:]) != nil {
		t.Fatal("control: pieces that leave much of the key were refused")
	}
	for range 3 {
		if s.Text("third request", key[12:50]) == nil {
			t.Fatal("the piece that makes the key whole passed")
		}
		if s.Text("third request, less of it", key[16:48]) == nil {
			t.Fatal("less of it passed")
		}
	}
}

// TestSeparatorsAreHeldBack: of a value with separators nothing but three
// letters leaves before it is found, however slowly it comes.
func TestSeparatorsAreHeldBack(t *testing.T) {
	key := planted[0]
	for _, separator := range []string{".", " ", ", ", "\u200b", "\" + \"", "\\n", "%0A", "%0D%0A"} {
		form := strings.Join(strings.Split(key, ""), separator)
		s := mustNew(t, key)
		text := "note: " + form + " end"
		released, found, err := stream(s, strings.Split(text, "")...)
		if err != nil || found == nil {
			t.Errorf("%q: not found, %v", separator, err)
		}
		if most := len("note: ") + 4*(1+len(separator)); len(released) > most {
			t.Errorf("%q: %q came out", separator, released)
		}
		if clean := "note: " + separator + strings.Repeat("word"+separator, 20); s.Text("body", clean) != nil {
			t.Errorf("control: %q was refused", clean)
		}
	}
}

// TestSeparatorsInEncodedValues: base64 of a known value is found in whatever
// case and with separators.
func TestSeparatorsInEncodedValues(t *testing.T) {
	s := mustNew(t, planted[0])
	encoded := base64.RawURLEncoding.EncodeToString([]byte("k=" + planted[0]))
	for name, text := range map[string]string{
		"header name": "x-" + strings.ToLower(encoded),
		"blanks":      strings.Join(strings.Split(encoded, ""), " "),
		"json lines":  strings.Join(strings.SplitAfter(encoded, "d"), `\n`),
	} {
		if s.Text(name, text) == nil {
			t.Errorf("%s: %q was not found", name, text)
		}
	}
}

// TestFormsCarryFiles: what a form carries escaped is unpacked like a file.
func TestFormsCarryFiles(t *testing.T) {
	secret := "secret = \"" + token + "\"\n"
	long := noise(150_000) + secret + noise(1000)
	files := func(content string) map[string]string {
		return map[string]string{
			"gzip":        gzipped(t, content),
			"zlib":        zlibbed(t, content),
			"zip":         zipOf(t, zip.Deflate, content),
			"base64":      base64.StdEncoding.EncodeToString([]byte(content)),
			"in lines":    wrap(base64.StdEncoding.EncodeToString([]byte(content)), 76),
			"gzip twice":  gzipped(t, gzipped(t, content)),
			"gzip base64": gzipped(t, base64.StdEncoding.EncodeToString([]byte(content))),
		}
	}
	s := mustNew(t, planted...)
	for name, file := range files(secret) {
		if s.Text("body", "a=1&file="+url.QueryEscape(file)+"&b=2") == nil {
			t.Errorf("%s was not found", name)
		}
	}
	for name, file := range files(long) {
		if _, found, err := stream(s, "a=1&file="+url.QueryEscape(file)+"&b=2"); found == nil || err != nil {
			t.Errorf("long %s was not found: %v", name, err)
		}
	}
	for name, file := range files(noise(3000)) {
		if f := s.Text("body", "a=1&file="+url.QueryEscape(file)+"&b=2"); f != nil {
			t.Errorf("control: %s: %v", name, f)
		}
	}
}

// TestArchivesEndWhatTheyStore: an id that the archive's next header follows
// directly, and zlib in the middle of a body.
func TestArchivesEndWhatTheyStore(t *testing.T) {
	s := mustNew(t, planted...)
	const id = "AKIA3EXAMPQ7RTYUWX2Z"
	for name, body := range map[string]string{
		"stored":     zipOf(t, zip.Store, id),
		"zlib later": "--b\r\nContent-Type: application/zlib\r\n\r\n" + zlibbed(t, "key "+id+"\n") + "\r\n--b--\r\n",
	} {
		if s.Text("body", body) == nil {
			t.Errorf("%s was not found", name)
		}
		if _, found, err := stream(s, cutAt(body, 5)...); found == nil || err != nil {
			t.Errorf("%s in pieces was not found: %v", name, err)
		}
	}
	if f := s.Text("body", zipOf(t, zip.Store, noise(5000))); f != nil {
		t.Errorf("control: %v", f)
	}
}

// TestValuesWithSigns: the secret key of AWS holds signs that end other values.
func TestValuesWithSigns(t *testing.T) {
	s := mustNew(t, planted...)
	for _, value := range []string{
		"+i4dm6mkZenLreteZdrndQMcYMh7MmWCv5cxxLg1", "/IIdgRN9iqWEMm1HMskYhfPXaSnYLBV0E344uvCZ",
		"QADxgUyfUHqXC+BlayBdTJ8yP9b4MLD6Oml/bjnP", "b9SIxWB9KAmUcgW0Z7+EsVAEGWyo5ey2+2v7OBNY",
	} {
		inJSON, _ := json.Marshal(map[string]string{"SecretAccessKey": value})
		for _, text := range []string{
			"aws_secret_access_key=" + value + "&x=1", "AWS_SECRET_ACCESS_KEY = '" + value + "'", string(inJSON),
			"?q=" + url.QueryEscape("aws_secret_access_key="+value) + "&x=1", "<secret_key: " + value + ">",
		} {
			if s.Text("body", text) == nil {
				t.Errorf("%q was not found", text)
			}
		}
	}
	for _, text := range []string{
		"secret: internal/config/loader/secretsfile/read.go", "token=" + strings.Repeat("internal/", 5) + "&x=1",
		"secret_path=modules/payments/gateway/clientlibs/v1, x",
	} {
		if f := s.Text("body", text); f != nil {
			t.Errorf("control: %q: %v", text, f)
		}
	}
}

func zlibbed(t testing.TB, content string) string {
	return packed(t, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }, content)
}

// zipOf is an archive of one file.
func zipOf(t testing.TB, method uint16, content string) string {
	t.Helper()
	var b bytes.Buffer
	archive := zip.NewWriter(&b)
	file, err := archive.CreateHeader(&zip.FileHeader{Name: "notes.txt", Method: method})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(file, content); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestBlanksOfForms(t *testing.T) {
	s := mustNew(t, planted...)
	if text := "note=password+%3D+ij9bqgLL2BppTGWLOsnCOtyDeVUgGu2D&x=1"; s.Text("body", text) == nil {
		t.Errorf("%q was not found", text)
	}
	if text := "note=password+%3D+something+else&x=1"; s.Text("body", text) != nil {
		t.Errorf("control: %q was refused", text)
	}
}
