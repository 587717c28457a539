package secretscan

import (
	"math/rand/v2"
	"testing"
)

// What reads eight bytes at once skips nothing that reading one by one finds.
func TestSkipping(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, 200)
	for range 50_000 {
		for i := range text {
			switch random.IntN(16) {
			case 0:
				text[i] = byte(random.IntN(256))
			case 1:
				text[i] = ":-"[random.IntN(2)]
			default:
				text[i] = "azAZ09+/-_"[random.IntN(10)]
			}
		}
		first := len(text)
		for i := len(text) - minRun; i >= 0; i-- {
			if wordLength(text[i:i+minRun]) == minRun {
				first = i
			}
		}
		if got := longRun(text, 0); got != first {
			t.Fatalf("%q: %d, want %d", text, got, first)
		}
		want := false
		for i := range 3 {
			want = want || text[i] == text[i+3] && text[i] == text[i+6]
		}
		if got := repeats(text); got != want {
			t.Fatalf("%q: %v, want %v", text, got, want)
		}
	}
	for c := range 256 {
		if (c < '+' || c > 'z') && base64Value[c] != 0xff {
			t.Errorf("%q is in an alphabet", rune(c))
		}
	}
}
