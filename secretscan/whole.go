package secretscan

import (
	"encoding/ascii85"
	"encoding/base32"
	"encoding/base64"
	"strconv"
	"strings"
)

// wholeForms are the encodings of a value that are not taken off a text: they are
// searched for as they stand.
func wholeForms(value string) []string {
	forms := []string{rot13(value)}
	for _, form := range base64Forms(value) {
		forms = append(forms, reversed(form))
	}
	for _, zero := range []string{" ", "`"} { // uuencode's
		forms = append(forms, in64(base64.NewEncoding(zero+between('!', '_')), value)...)
	}
	forms = append(forms, in32(base32.HexEncoding, value)...)
	return append(forms, ascii85Forms(value)...)
}

// between is the characters from one to another.
func between(first, last byte) string {
	var text strings.Builder
	for c := first; c <= last; c++ {
		text.WriteByte(c)
	}
	return text.String()
}

func rot13(value string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return 'a' + (r-'a'+13)%26
		case r >= 'A' && r <= 'Z':
			return 'A' + (r-'A'+13)%26
		}
		return r
	}, value)
}

// alphabet85 is RFC 1924's; ascii85 counts from '!' on.
const alphabet85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"

// ascii85Forms are the groups of four bytes that a value fills, wherever it begins
// in the encoded bytes.
func ascii85Forms(value string) []string {
	var forms []string
	for skipped := range 4 {
		whole := max(0, len(value)-skipped) / 4 * 4
		form := make([]byte, ascii85.MaxEncodedLen(whole))
		form = form[:ascii85.Encode(form, []byte(value[min(skipped, len(value)):][:whole]))]
		other := strings.Map(func(r rune) rune {
			if r < '!' || r > 'u' {
				return r
			}
			return rune(alphabet85[r-'!'])
		}, string(form))
		forms = append(forms, string(form), other)
	}
	return forms
}

// inDecimals is the bytes of a value as numbers, without what stands between them.
func inDecimals(value string) string {
	var digits strings.Builder
	for i := range len(value) {
		digits.WriteString(strconv.Itoa(int(value[i])))
	}
	return digits.String()
}
