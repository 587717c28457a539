package secretscan_test

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// eachAs writes every byte in a format.
func eachAs(format string) func(string) string {
	return func(file string) string {
		var text strings.Builder
		for i := range len(file) {
			fmt.Fprintf(&text, format, file[i])
		}
		return text.String()
	}
}

func toBase64(file string) string { return base64.StdEncoding.EncodeToString([]byte(file)) }

// fileEncoders write files as text.
var fileEncoders = map[string]func(string) string{
	"hex":                   func(f string) string { return hex.EncodeToString([]byte(f)) },
	"upper case hex":        func(f string) string { return strings.ToUpper(hex.EncodeToString([]byte(f))) },
	"hex in lines":          func(f string) string { return wrap(hex.EncodeToString([]byte(f)), 60) },
	"hex in pairs":          eachAs("%02x "),
	"hex with colons":       eachAs("%02x:"),
	"hexadecimal numbers":   eachAs("0x%02x, "),
	"numbers":               eachAs("%d, "),
	"numbers side by side":  eachAs("%d,"),
	"base32":                func(f string) string { return base32.StdEncoding.EncodeToString([]byte(f)) },
	"percent":               eachAs("%%%02x"),
	"unicode escapes":       eachAs("\\u%04x"),
	"byte escapes":          eachAs("\\x%02x"),
	"HTML":                  eachAs("&#%d;"),
	"Go":                    strconv.QuoteToASCII,
	"JSON":                  charactersOf,
	"base64":                toBase64,
	"base64 behind a byte":  func(f string) string { return toBase64("~" + f) },
	"base64 behind two":     func(f string) string { return toBase64("~~" + f) },
	"base64 twice":          func(f string) string { return toBase64(toBase64(f)) },
	"base64 in lines":       func(f string) string { return wrap(toBase64(f), 76) },
	"base64 in other lines": func(f string) string { return wrap(toBase64("~"+f), 60) },
	"base64 in escaped lines": func(f string) string {
		lines, _ := json.Marshal(wrap(toBase64(f), 76))
		return string(lines)
	},
	"indented base64": func(f string) string { return strings.ReplaceAll(wrap(toBase64(f), 76), "\n", "\n  ") },
}

// TestLongFilesInEveryEncoding: a file that is compressed and then encoded is
// unpacked however long it is, and its secret is not released.
func TestLongFilesInEveryEncoding(t *testing.T) {
	s := mustNew(t)
	before, after := noise(45_000), noise(30_000)
	secret := "secret = \"" + token + "\"\n"
	leaks := func(name, text string) {
		t.Helper()
		released, found, err := stream(s, cutAt(text, 16<<10)...)
		if found == nil || err != nil || len(released) > len(text)*63/100 {
			t.Errorf("%s: %v %v, %d of %d bytes released", name, found, err, len(released), len(text))
		}
	}
	for name, encode := range sortedByKey(fileEncoders) {
		leaks("gzip in "+name, "data: "+encode(gzipped(t, before+secret+after))+"\n")
		text := "data: " + encode(gzipped(t, before+after)) + "\n"
		if released, found, err := stream(s, cutAt(text, 16<<10)...); found != nil || err != nil || released != text {
			t.Errorf("control: %s: %v %v", name, found, err)
		}
	}
	for _, name := range []string{"hex", "numbers", "JSON", "Go", "base64 in lines"} {
		leaks("zip in "+name, "data: "+fileEncoders[name](zipped(t, before+secret+after))+"\n")
	}
	text := "data: " + fileEncoders["hex"](zipped(t, before+after)) + "\n" // its second entry begins late
	if released, found, err := stream(s, cutAt(text, 16<<10)...); found != nil || err != nil || released != text {
		t.Errorf("control: zip: %v %v", found, err)
	}
}
