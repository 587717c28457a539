package egress

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

// longKnown is a known value of three pieces.
const longKnown = "8f3c1d90b7e24a65" + "c0d9f18273ae4b5c" + "6e7f80a1b2c3d4e5"

// TestPiecesOfASecret: the piece that would make a known value whole is refused
// however often, wherever and over whatever protocol it is sent.
func TestPiecesOfASecret(t *testing.T) {
	l := newLab(t, route("api.test")+route("other.test"), func(c *Config) {
		c.Scanner = must(secretscan.New([]string{longKnown}, secretscan.WithoutRules()))(t)
	})
	send := func(h2 bool, host, piece string) answer {
		r := must(http.NewRequest("GET", "https://"+host+"/?q="+piece, nil))(t)
		return must(l.do(l.client(h2), r))(t)
	}
	pieces := []string{longKnown[:16], longKnown[16:32], longKnown[32:]}
	l.wantThrough("first piece", send(false, "api.test", pieces[0]))
	l.wantThrough("last piece", send(true, "other.test", pieces[2]))
	for _, h2 := range []bool{false, true, false, true} {
		for _, host := range []string{"api.test", "other.test"} {
			l.wantBlock("piece between them", send(h2, host, pieces[1]), policy.Secret)
		}
	}
	l.wantThrough("a piece of nothing", send(false, "api.test", "0123456789abcdef"))
}

// TestSecretThatComesSlowly: of a known value with separators no more than
// three characters arrive, and of a credential no more are echoed.
func TestSecretThatComesSlowly(t *testing.T) {
	l := newLab(t, route("api.test")+route("other.test", withToken))
	asked, arrived := make(chan bool, 1), make(chan string, 1)
	l.origin.handler = func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			asked <- true
			body, _ := io.ReadAll(r.Body)
			arrived <- string(body)
			return
		}
		for c := range strings.SplitSeq("note: "+secretToken+" end", "") {
			fmt.Fprint(w, c, ".")
			_ = http.NewResponseController(w).Flush()
		}
	}
	// Longer than what is looked at before the origin is asked.
	begin := strings.Repeat("harmless. ", maxBuffered/10+100)
	upload := func(h2 bool, rest string) (answer, string) {
		body := io.MultiReader(strings.NewReader(begin), &after{asked, iotest.OneByteReader(strings.NewReader(rest))})
		r := must(http.NewRequest("POST", "https://api.test/", body))(t)
		a, err := l.do(l.client(h2), r)
		if err != nil {
			a.status = 0
		}
		_, got, _ := strings.Cut(<-arrived, begin) // a cut may come before its end
		return a, got
	}
	for _, h2 := range []bool{false, true} {
		for _, separator := range []string{".", ", ", "\n"} {
			a, got := upload(h2, strings.Join(strings.Split(known, ""), separator))
			if a.status == http.StatusOK || len(got) > 4*(1+len(separator)) {
				t.Errorf("%q: %d, %q arrived", separator, a.status, got)
			}
		}
		if a, got := upload(h2, "w.o.r.d.s"); a.status != http.StatusOK || got != "w.o.r.d.s" {
			t.Errorf("control: %d, %q arrived", a.status, got)
		}
		r := must(http.NewRequest("GET", "https://other.test/", nil))(t)
		a, err := l.do(l.client(h2), r)
		if letters := strings.NewReplacer(".", "", "-", "").Replace(a.body); err == nil || len(letters) > len("note: ")+3 {
			t.Errorf("%q was echoed, %v", a.body, err)
		}
		if a := l.ask("GET", "https://api.test/", ""); !strings.Contains(a.body, "e.n.d.") {
			t.Errorf("control: %d %q", a.status, a.body)
		}
	}
}

// after is what follows once the origin was asked.
type after struct {
	asked chan bool
	io.Reader
}

func (r *after) Read(p []byte) (int, error) {
	if r.asked != nil {
		<-r.asked
		r.asked = nil
	}
	return r.Reader.Read(p)
}
