package secretscan

import (
	"math/rand/v2"
	"testing"
)

// What reads eight bytes at once skips nothing that reading one by one finds.
func TestSkipping(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, minRun)
	for range 200_000 {
		for i := range text {
			switch random.IntN(4) {
			case 0:
				text[i] = byte(random.IntN(256))
			case 1:
				text[i] = ":-"[random.IntN(2)]
			default:
				text[i] = "azAZ09+/-_"[random.IntN(10)]
			}
		}
		last := -1
		for i, c := range text {
			if c < '+' || c > 'z' {
				last = i
			}
		}
		if got := lastStranger(text); got != last {
			t.Fatalf("%q: %d, want %d", text, got, last)
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
