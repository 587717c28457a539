package gitgate

import (
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/internal/gitpack"
)

const none = "0000000000000000000000000000000000000000"

// line is a pkt-line.
func line(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }

// post sends a push as it stands.
func (g *gate) post(t *testing.T, body string, header ...string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, g.url+"/"+receivePack, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

// packed is a pack made by git of what rev-list arguments, one a line, name.
func packed(t *testing.T, dir, revisions string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"pack-objects", "--revs", "--stdout", "-q"}, args...)...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(revisions)
	pack, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(pack)
}

const wanted = "\x00 report-status side-band-64k agent=git/2.39.5"

// TestHostileRequests: each of them is close to one that passes.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	g := startGateWith(t, "delete: true\n", nil, func(c *Config) {
		c.Limits = Limits{PushBytes: 1 << 20, Pack: gitpack.Limits{Objects: 1000, HeldSize: 1 << 20}}
	})
	dir := g.cloned(t)
	old := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	text := strings.Repeat("so long that git makes a delta of it\n", 50)
	commit(t, dir, map[string]string{"text": text})
	g.passes(t, dir, "HEAD:refs/heads/main")
	before := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	commit(t, dir, map[string]string{"text": text + "more\n"})
	tip := strings.TrimSpace(git(t, dir, "rev-parse", "HEAD"))
	whole := packed(t, dir, tip+"\n^"+before+"\n")
	thin := packed(t, dir, tip+"\n^"+before+"\n", "--thin")
	if thin == whole {
		t.Fatal("git made no thin pack")
	}
	update := func(ref string) string { return line(before + " " + tip + " " + ref + wanted) }
	create := func(ref string) string { return line(none + " " + tip + " " + ref + wanted) }
	good := create("refs/heads/new") + "0000"
	section := func(lines ...string) string { return strings.Join(lines, "") + "0000" + whole }
	empty := pack(0)
	var gzipped bytes.Buffer
	z := gzip.NewWriter(&gzipped)
	_, _ = z.Write([]byte(good + whole))
	_ = z.Close()
	bomb := gzipBomb(good, 64<<20)

	for _, test := range []struct {
		name, body, want string
		header           []string
	}{
		{name: "nothing", want: "the push ends before its pack"},
		{name: "something behind a probe", body: "0000" + whole, want: "something follows an empty push"},
		{name: "no pack", body: good, want: "the pack is cut short"},
		{name: "half a pack", body: good + whole[:len(whole)/2], want: "malformed: the pack"},
		{name: "a pack cut at its end", body: good + whole[:len(whole)-1], want: "checksum"},
		{name: "another checksum", body: good + whole[:len(whole)-1] + "x", want: "checksum"},
		{name: "something behind the pack", body: good + whole + "x", want: "checksum"},
		{name: "something inside behind the objects", body: good + summed(whole[:len(whole)-20]+"x"), want: "behind its last object"},
		{name: "a thin pack", body: good + thin, want: "no-thin"},
		{name: "not gzip", body: good + whole, header: []string{"Content-Encoding", "gzip"}, want: "not"},
		{name: "half of a gzip", body: gzipped.String()[:gzipped.Len()/2], header: []string{"Content-Encoding", "gzip"}, want: "refused: malformed"},
		{name: "a gzip bomb", body: bomb, header: []string{"Content-Encoding", "gzip"}, want: "limit: the push is too large"},
		{name: "something behind a gzip", body: gzipped.String() + "x", header: []string{"Content-Encoding", "gzip"}, want: "refused: malformed"},
		{name: "another coding", body: good + whole, header: []string{"Content-Encoding", "br"}, want: "not one git uses"},
		{name: "a certificate", body: section(line("push-cert\x00push-cert=1")), want: "not offered"},
		{name: "a capability that was not offered", body: section(line(none + " " + tip + " refs/heads/new\x00 report-status session-id=x")), want: "not offered"},
		{name: "a second list of capabilities", body: section(create("refs/heads/new"), create("refs/heads/other")), want: "behind the first"},
		{name: "one reference twice", body: section(create("refs/heads/new"), line(none+" "+tip+" refs/heads/new")), want: "two commands"},
		{name: "an empty line", body: section(create("refs/heads/new"), "0004"), want: "not \"old new"},
		{name: "a line of version 2", body: section(create("refs/heads/new"), "0001"), want: "version 2"},
		{name: "no length", body: section(create("refs/heads/new"), "00zz"), want: "no length"},
		{name: "a length of three", body: section("0003"), want: "no length"},
		{name: "a signed length", body: section("+009hello"), want: "no length"},
		{name: "a name with ..", body: section(create("refs/heads/../x")), want: "no reference may have"},
		{name: "a name with a control character", body: section(create("refs/heads/a\x1b[2J")), want: "no reference may have"},
		{name: "HEAD", body: section(create("HEAD")), want: "no reference may have"},
		{name: "upper case", body: section(line(none + " " + strings.ToUpper(tip) + " refs/heads/new" + wanted)), want: "object ids"},
		{name: "another format", body: section(line(none + " " + tip + " refs/heads/new\x00report-status object-format=sha256")), want: "sha256 object ids"},
		{name: "nothing to nothing", body: section(line(none + " " + none + " refs/heads/new" + wanted)), want: "nothing to nothing"},
		{name: "shallow only", body: line("shallow "+tip) + "0000", want: "without commands"},
		{name: "shallow in vain", body: line("shallow x") + good + whole, want: "without an object id"},
		{name: "a pack behind a deletion", body: line(before+" "+none+" refs/heads/main"+wanted) + "0000" + empty, want: "followed by something"},
		{name: "too many objects", body: good + pack(5000), want: "limit"},
		{name: "more objects than bytes", body: good + pack(900), want: "fewer objects"},
		{name: "version 3", body: good + summed("PACK\x00\x00\x00\x03\x00\x00\x00\x00"), want: "version 2"},
		{name: "too many bytes", body: good + whole + strings.Repeat("x", 1<<20), want: "limit: the push is too large"},
		{name: "a long list", body: create("refs/heads/new") + strings.Repeat(line(strings.Repeat("x", 60000)), 80), want: "refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := g.state(t)
			status, answer := g.post(t, test.body, test.header...)
			if !strings.Contains(answer, "git-gate: refused: ") || !strings.Contains(answer, test.want) {
				t.Errorf("%d %q, want %q", status, answer, test.want)
			}
			if status == http.StatusOK && !strings.Contains(answer, "ng refs/heads/") {
				t.Errorf("no reference is reported: %q", answer)
			}
			if g.state(t) != before {
				t.Error("the upstream changed")
			}
		})
	}
	if held := g.role.spool.held.Load(); held != 0 {
		t.Errorf("%d bytes of pushes are still held", held)
	}

	// What passes, in the same forms.
	if status, answer := g.post(t, "0000"); status != http.StatusOK || answer != "" {
		t.Errorf("a probe: %d %q", status, answer)
	}
	for _, test := range []struct {
		name, body string
		header     []string
	}{
		{name: "gzip", body: gzipped.String(), header: []string{"Content-Encoding", "gzip"}},
		{name: "without bands", body: line(none+" "+tip+" refs/heads/plain\x00 report-status") + "0000" + whole},
		{name: "without a report", body: line(none+" "+tip+" refs/heads/silent") + "0000" + whole},
		{name: "an empty pack", body: line(none+" "+old+" refs/heads/empty"+wanted) + "0000" + empty},
		{name: "shallow", body: line("shallow "+before) + create("refs/heads/shallow") + "0000" + whole},
		{name: "update", body: update("refs/heads/main") + "0000" + whole},
		{name: "deletion", body: line(old+" "+none+" refs/heads/empty"+wanted) + "0000"},
	} {
		before := g.state(t)
		status, answer := g.post(t, test.body, test.header...)
		if status != http.StatusOK || strings.Contains(answer, "ng ") || g.state(t) == before {
			t.Errorf("%s: %d %q", test.name, status, answer)
		}
	}
	// Without bands a refusal has only the report to be told in.
	status, answer := g.post(t, line(none+" "+tip+" refs/tags/x\x00 report-status")+"0000"+whole)
	if status != http.StatusOK || !strings.HasPrefix(answer, line("unpack ok\n")) || !strings.Contains(answer, "ng refs/tags/x git-gate: ref: refs/tags/x is not among") {
		t.Errorf("a refusal without bands: %d %q", status, answer)
	}
}

// gzipBomb is a gzip file of head and so many zeros.
func gzipBomb(head string, zeros int) string {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = io.WriteString(z, head)
	for piece := make([]byte, 1<<20); zeros > 0; zeros -= len(piece) {
		_, _ = z.Write(piece)
	}
	_ = z.Close()
	return out.String()
}

// TestHostileFetches: what is no request is answered with an error, and the next
// fetch is served.
func TestHostileFetches(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	for name, body := range map[string]string{
		"a gzip bomb":       gzipBomb("", 80<<20),
		"not gzip":          "0000",
		"half of a gzip":    gzipBomb(line("command=ls-refs\n")+"0000", 1<<20)[:40],
		"a line cut short":  gzipBomb("00ffcommand", 0),
		"no length":         gzipBomb("zzzzcommand", 0),
		"no command at all": gzipBomb(line("command=archive\n")+"0000", 0),
	} {
		request, err := http.NewRequest(http.MethodPost, g.url+"/"+uploadPack, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Encoding", "gzip")
		request.Header.Set("Git-Protocol", version2)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(response.Body) // which may break off
		response.Body.Close()
		if strings.Contains(string(answer), "refs/heads/main") {
			t.Errorf("%s: it was served: %q", name, answer)
		}
	}
	git(t, "", "ls-remote", g.url)
}

// pack is one that says it has so many objects and has none.
func pack(count uint32) string {
	header := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), count)
	return summed(string(header))
}

func summed(content string) string {
	sum := sha1.Sum([]byte(content))
	return content + string(sum[:])
}

// FuzzAdvertisement reads what an upstream advertises: what the agent is shown of
// it are whole lines that never offer what the gate does not understand.
func FuzzAdvertisement(f *testing.F) {
	id := strings.Repeat("1", 40)
	f.Add([]byte(line(id+" refs/heads/x\x00report-status push-cert=nonce push-options session-id=y agent=git/2\n") + line(id+" refs/heads/y\n") + "0000"))
	f.Add([]byte(line(none+" capabilities^{}\x00") + "0000"))
	f.Add([]byte("0004" + line("x\x00y\x00push-cert") + "0000"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_ = offersFilter(raw)
		_ = outcomes(raw)
		out, err := offer(raw, false)
		if err != nil {
			return
		}
		in, lines := bytes.NewReader(out), 0
		for {
			content, kind, err := readPkt(in)
			if err != nil {
				t.Fatalf("%q from %q: %v", out, raw, err)
			}
			if kind == pktFlush {
				break
			}
			_, capabilities, first := strings.Cut(string(content), "\x00")
			if lines++; !first {
				continue
			}
			for capability := range strings.FieldsSeq(capabilities) {
				name, _, _ := strings.Cut(capability, "=")
				if lines == 1 && (name == "push-cert" || name == "push-options" || name == "session-id") {
					t.Fatalf("%q is offered of %q", capability, raw)
				}
			}
		}
		if in.Len() > 0 {
			t.Fatalf("%d bytes stand behind the end", in.Len())
		}
	})
}

func FuzzReadPush(f *testing.F) {
	id := strings.Repeat("1", 40)
	f.Add([]byte(line(none+" "+id+" refs/heads/x\x00 report-status side-band-64k push-options") + line(id+" "+none+" refs/heads/y") + "0000" + line("option") + "0000PACK"))
	f.Add([]byte(line("shallow "+id) + line(none+" "+strings.Repeat("2", 64)+" refs/heads/x\x00object-format=sha256") + "0000"))
	f.Add([]byte("0000"))
	f.Fuzz(func(t *testing.T, body []byte) {
		request, err := readPush(bytes.NewReader(body))
		if request.size > int64(len(body)) {
			t.Fatalf("%d bytes read of %d", request.size, len(body))
		}
		if err != nil {
			return
		}
		// What was read is what git reads: written anew it is the same.
		seen := make(map[string]bool)
		for _, c := range request.commands {
			if seen[c.ref] || strings.ContainsAny(c.ref, "\x00\n ") || c.creates() && c.deletes() {
				t.Fatalf("%+v", request.commands)
			}
			seen[c.ref] = true
			if plain := c.old.String() + " " + c.new.String() + " " + c.ref; !bytes.Contains(body[:request.size], []byte(plain)) {
				t.Fatalf("%q does not stand in the push", plain)
			}
		}
	})
}
