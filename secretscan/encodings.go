package secretscan

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

// encodings returns value in every form that is searched for as it stands.
// Forms with freedom in them (which characters are escaped, the case of hex
// digits, nesting) are found by decoding the text instead.
func encodings(value string) []string {
	forms := base64Forms(value)
	forms = append(forms, base32Forms(value)...)
	lower := hex.EncodeToString([]byte(value))
	forms = append(forms, lower, strings.ToUpper(lower))
	forms = append(forms, escapedForms(value)...)
	forms = append(forms, utf16Form(value, 0, 1), utf16Form(value, 1, 0), reversed(value))
	slices.Sort(forms)
	forms = slices.Compact(forms)
	return slices.DeleteFunc(forms, func(form string) bool { return form == value })
}

func base64Forms(value string) []string {
	return append(in64(base64.RawStdEncoding, value), in64(base64.RawURLEncoding, value)...)
}

// in64 are the characters that value always gives, wherever it begins in the
// encoded bytes.
func in64(encoding *base64.Encoding, value string) []string {
	var forms []string
	for offset := range 3 {
		encoded := encoding.EncodeToString([]byte(strings.Repeat("\x00", offset) + value))
		begin, end := (offset*8+5)/6, (offset+len(value))*8/6
		forms = append(forms, encoded[begin:end])
	}
	return forms
}

func base32Forms(value string) []string { return in32(base32.StdEncoding, value) }

// in32 is in64 for five bits a character, in either case.
func in32(encoding *base32.Encoding, value string) []string {
	var forms []string
	for offset := range 5 {
		encoded := encoding.EncodeToString([]byte(strings.Repeat("\x00", offset) + value))
		form := encoded[(offset*8+4)/5 : (offset+len(value))*8/5]
		forms = append(forms, form, strings.ToLower(form))
	}
	return forms
}

func escapedForms(value string) []string {
	quoted, _ := json.Marshal(value) // a string always has a JSON form
	inJSON := string(quoted[1 : len(quoted)-1])
	plainJSON := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(inJSON)
	twice, _ := json.Marshal(plainJSON)
	var percent strings.Builder
	for i := range len(value) {
		fmt.Fprintf(&percent, "%%%02X", value[i])
	}
	return []string{
		inJSON, plainJSON, strings.ReplaceAll(plainJSON, "/", `\/`), string(twice[1 : len(twice)-1]),
		html.EscapeString(value), url.QueryEscape(value), url.PathEscape(value),
		percent.String(), strings.ToLower(percent.String()),
		// A value with escapes in it is changed when a text is decoded.
		html.UnescapeString(value), unescaped('%', value), unescaped('\\', value),
	}
}

func unescaped(mark byte, value string) string {
	var out []byte
	for at := 0; at < len(value); {
		if value[at] == mark {
			n := 0
			if n, out = appendEscape(out, []byte(value[at:])); n > 0 {
				at += n
				continue
			}
		}
		out = append(out, value[at])
		at++
	}
	return string(out)
}

func utf16Form(value string, low, high int) string {
	units := utf16.Encode([]rune(value))
	form := make([]byte, 2*len(units))
	for i, unit := range units {
		form[2*i+low], form[2*i+high] = byte(unit), byte(unit>>8)
	}
	return string(form)
}

func reversed(value string) string {
	form := []byte(value)
	slices.Reverse(form)
	return string(form)
}
