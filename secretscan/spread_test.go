package secretscan_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// TestSeparatorsInShortValues: they are found with something between all
// characters, and in groups if they are not made of words.
func TestSeparatorsInShortValues(t *testing.T) {
	for _, value := range []string{"hunter22", "iloveyou", "k7Xq92Lm", "p-4sswd.x9Z", "Tr0ub4dor&3"} {
		s := mustNew(t, value)
		characters := strings.Split(value, "")
		list, err := json.Marshal(characters)
		if err != nil {
			t.Fatal(err)
		}
		forms := map[string]string{
			"JSON": string(list), "reversed": strings.Join(strings.Split(reverse(value), ""), " "),
			"base64": base64.StdEncoding.EncodeToString(list),
		}
		for _, separator := range []string{"-", " ", "\n", ", ", `\n`, `" + "`, "%0A"} {
			forms["with "+separator] = strings.Join(characters, separator)
		}
		for name, form := range forms {
			missed(t, s, value+" "+name, form, "note: %s end")
			if released, found, err := stream(s, strings.Split("note: "+form+" end", "")...); found == nil || err != nil || len(released) > len(form) {
				t.Errorf("%s %s in a stream: %v %v, %q released", value, name, found, err, released)
			}
		}
	}
	missed(t, mustNew(t, "k7Xq92Lm"), "groups", "k7Xq-92Lm", "%s")
	words := mustNew(t, "hunter22", "iloveyou", "k7Xq92Lm", "section1", "databases")
	for _, clean := range []string{
		"I love you, and i love you", "see section 1, Section 1 and section-1", "a hunter 22 years old", "data bases",
		"H-U-N-T-E-R-2-2", "K7XQ-92LM", "h-u-n-t-e-r-2", "T A B L E S", strings.Repeat("HUNTER22 ", 20_000),
	} {
		if f := words.Text("body", clean); f != nil {
			t.Errorf("control: %v in %.40q", f, clean)
		}
	}
}
