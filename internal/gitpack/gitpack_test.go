package gitpack_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/claude-bottle/claude-bottle/internal/gitpack"
)

func git(t testing.TB, dir, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(input)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b",
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, stderr.String())
	}
	return string(out)
}

// repository has commits, trees, a tag, deltas on deltas and a large blob.
func repository(t testing.TB, format string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	git(t, dir, "", "init", "-q", "--object-format="+format, "-b", "main")
	text := strings.Repeat("a line among many lines\n", 200)
	for i := range 8 {
		text += fmt.Sprintf("line %d\n", i)
		write(t, dir, "sub/text", text)
		git(t, dir, "", "add", ".")
		git(t, dir, "", "commit", "-q", "-m", fmt.Sprint("commit ", i))
	}
	large := make([]byte, 9<<20)
	rand.NewChaCha8([32]byte{}).Read(large)
	write(t, dir, "large", string(large))
	git(t, dir, "", "add", ".")
	git(t, dir, "", "commit", "-q", "-m", "large")
	git(t, dir, "", "tag", "-a", "-m", "a tag", "v1")
	return dir
}

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// collector keeps what it is shown.
type collector struct {
	types  map[int]gitpack.Type
	data   map[int]string
	shown  int
	cutoff bool // leave large blobs before their end
}

func (c *collector) Object(n int, id gitpack.ID, t gitpack.Type, data []byte) error {
	c.shown++
	c.types[n], c.data[n] = t, string(data)
	return nil
}

func (c *collector) Blob(n int, size int64, content io.Reader) error {
	c.shown++
	c.types[n] = gitpack.Blob
	if c.cutoff {
		return nil
	}
	data, err := io.ReadAll(content)
	c.data[n] = string(data)
	if err == nil && int64(len(data)) != size {
		err = fmt.Errorf("%d bytes of %d", len(data), size)
	}
	return err
}

func read(pack string, format gitpack.Format, limits gitpack.Limits, visit gitpack.Visitor) (*gitpack.Pack, error) {
	return gitpack.Read(context.Background(), strings.NewReader(pack), int64(len(pack)), format, limits, visit)
}

// TestReadsWhatGitWrites compares every object with what git itself says.
func TestReadsWhatGitWrites(t *testing.T) {
	for _, test := range []struct {
		format gitpack.Format
		args   []string
	}{
		{gitpack.SHA1, []string{"--delta-base-offset"}},
		{gitpack.SHA1, nil}, // deltas by id
		{gitpack.SHA256, []string{"--delta-base-offset"}},
	} {
		dir := repository(t, test.format.String())
		pack := git(t, dir, "", append([]string{"pack-objects", "--all", "--revs", "--stdout", "-q"}, test.args...)...)
		c := &collector{types: make(map[int]gitpack.Type), data: make(map[int]string)}
		p, err := read(pack, test.format, gitpack.Limits{}, c)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Count(git(t, dir, "", "rev-list", "--all", "--objects"), "\n") + 1 // and the tag
		if p.Len() < want-1 || c.shown != p.Len() {
			t.Errorf("%d objects, %d shown, %d in the repository", p.Len(), c.shown, want)
		}
		for n := range p.Len() {
			id, kind := p.At(n)
			if got := strings.TrimSpace(git(t, dir, "", "cat-file", "-t", id.String())); got != kind.String() || c.types[n] != kind {
				t.Errorf("%s is a %s, not a %s", id, got, kind)
			}
			content := git(t, dir, "", "cat-file", kind.String(), id.String())
			if content != c.data[n] {
				t.Errorf("%s was shown with other content", id)
			}
			if got, data, err := p.Get(id); err != nil || got != kind || string(data) != content {
				t.Errorf("%s is found as %s with %d bytes: %v", id, got, len(data), err)
			}
			opened, err := p.Open(n)
			if err != nil {
				t.Fatal(err)
			}
			if data, err := io.ReadAll(opened); err != nil || string(data) != content {
				t.Errorf("%s is opened with %d bytes: %v", id, len(data), err)
			}
		}
		if _, _, err := p.Get(gitpack.ID(strings.Repeat("x", test.format.Size()))); !errors.Is(err, io.EOF) {
			t.Errorf("an unknown object: %v", err)
		}
		if p, err := read(pack, test.format, gitpack.Limits{}, &collector{types: c.types, data: c.data, cutoff: true}); err != nil || p.Len() != c.shown {
			t.Errorf("a visitor that does not read to the end: %v", err)
		}
	}
}

// builder writes packs that git would not write.
type builder struct {
	objects bytes.Buffer
	count   uint32
}

func (b *builder) add(kind byte, size int, extra, content string) *builder {
	first := kind<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		b.objects.WriteByte(first | 0x80)
		first = byte(size & 0x7f)
	}
	b.objects.WriteByte(first)
	b.objects.WriteString(extra)
	z := zlib.NewWriter(&b.objects)
	_, _ = io.WriteString(z, content)
	_ = z.Close()
	b.count++
	return b
}

func (b *builder) blob(content string) *builder { return b.add(3, len(content), "", content) }

// delta against an id.
func (b *builder) delta(base, delta string) *builder { return b.add(7, len(delta), base, delta) }

func (b *builder) pack() string {
	out := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), b.count)
	return summed(string(append(out, b.objects.Bytes()...)))
}

func summed(content string) string {
	sum := sha1.Sum([]byte(content))
	return content + string(sum[:])
}

func blobID(content string) string {
	sum := sha1.Sum([]byte(fmt.Sprintf("blob %d\x00%s", len(content), content)))
	return string(sum[:])
}

// varint as deltas have it.
func varint(n int) string { return string(binary.AppendUvarint(nil, uint64(n))) }

// insert is a delta that replaces a base of a length with a text.
func insert(length int, text string) string {
	return varint(length) + varint(len(text)) + string(rune(len(text))) + text
}

func TestRefuses(t *testing.T) {
	small := gitpack.Limits{Objects: 5, ObjectSize: 1000, HeldSize: 500, Memory: 2000, Inflated: 3000, Depth: 2}
	chain := new(builder).blob("a")
	for _, link := range []string{"ab", "bc", "cd", "de"} {
		chain.delta(blobID(link[:1]), insert(1, link[1:]))
	}
	long := strings.Repeat("x", 100)
	whole := new(builder).blob("a").pack()
	for _, test := range []struct{ name, pack, want string }{
		{"nothing", "", "cut short"},
		{"only a trailer", summed(""), "cut short"},
		{"another checksum", whole[:len(whole)-1] + "?", "checksum"},
		{"an object that says too little", new(builder).add(3, 2, "", "abc").pack(), "longer than it says"},
		{"an object that says too much", new(builder).add(3, 4, "", "abc").pack(), "unexpected EOF"},
		{"a delta that says too little", new(builder).blob("a").add(7, 3, blobID("a"), insert(1, "b")).pack(), "longer than it says"},
		{"type 0", new(builder).add(0, 1, "", "a").pack(), "type 0"},
		{"type 5", new(builder).add(5, 1, "", "a").pack(), "type 5"},
		{"an object twice", new(builder).blob("a").blob("a").pack(), "twice"},
		{"a base that is not there", new(builder).delta(blobID("a"), insert(1, "b")).pack(), "not in it"},
		{"a delta on itself", new(builder).delta(blobID("b"), insert(1, "b")).pack(), "not in it"},
		{"a base before the pack", new(builder).blob("a").add(6, 4, "\x7f", insert(1, "b")).pack(), "no object before"},
		{"a base at no object", new(builder).blob("a").add(6, 4, "\x01", insert(1, "b")).pack(), "no object before"},
		{"itself as base", new(builder).blob("a").add(6, 4, "\x00", insert(1, "b")).pack(), "no object before"},
		{"a base of another length", new(builder).blob("a").delta(blobID("a"), insert(2, "b")).pack(), "damaged"},
		{"a delta that copies too much", new(builder).blob("a").delta(blobID("a"), varint(1)+varint(2)+"\x90\x02").pack(), "damaged"},
		{"a delta that copies from behind", new(builder).blob("a").delta(blobID("a"), varint(1)+varint(1)+"\x91\x01\x01").pack(), "damaged"},
		{"a delta that gives too little", new(builder).blob("a").delta(blobID("a"), varint(1)+varint(3)+"\x01b").pack(), "damaged"},
		{"a delta that gives too much", new(builder).blob("a").delta(blobID("a"), varint(1)+varint(1)+"\x02bc").pack(), "damaged"},
		{"a delta with command 0", new(builder).blob("a").delta(blobID("a"), varint(1)+varint(1)+"\x00").pack(), "damaged"},
		{"a delta cut short", new(builder).blob("a").delta(blobID("a"), varint(1)+varint(3)+"\x03b").pack(), "damaged"},
		{"a delta without sizes", new(builder).blob("a").delta(blobID("a"), "\x80\x80").pack(), "damaged"},
		{"many objects", new(builder).blob("a").blob("b").blob("c").blob("d").blob("e").blob("f").pack(), "limit"},
		{"a large object", new(builder).blob(strings.Repeat("x", 1001)).pack(), "limit"},
		{"a large tree", new(builder).add(2, 501, "", strings.Repeat("x", 501)).pack(), "limit"},
		{"much in all", new(builder).blob(strings.Repeat("a", 999)).blob(strings.Repeat("b", 999)).blob(strings.Repeat("c", 999)).blob(strings.Repeat("d", 999)).pack(), "limit"},
		{"a delta bomb", new(builder).blob(long).delta(blobID(long), varint(100)+varint(5000)+strings.Repeat("\x90\x64", 50)).pack(), "limit"},
		{"a long chain", chain.pack(), "limit"},
		{"something between the objects", summed(whole[:len(whole)-20] + "x"), "behind its last"},
	} {
		p, err := read(test.pack, gitpack.SHA1, small, nil)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if err != nil && strings.Contains(test.want, "limit") != errors.Is(err, gitpack.ErrLimit) {
			t.Errorf("%s: ErrLimit is %v", test.name, errors.Is(err, gitpack.ErrLimit))
		}
		if p != nil && err != nil {
			t.Errorf("%s: a pack beside an error", test.name)
		}
	}
	for name, pack := range map[string]string{
		"nothing in it": new(builder).pack(),
		"a delta":       new(builder).blob("a").delta(blobID("a"), insert(1, "b")).pack(),
		"a base behind": new(builder).delta(blobID("a"), insert(1, "b")).blob("a").pack(),
		"delta on one":  new(builder).delta(blobID("b"), insert(1, "c")).delta(blobID("a"), insert(1, "b")).blob("a").pack(),
	} {
		if _, err := read(pack, gitpack.SHA1, small, nil); err != nil {
			t.Errorf("control: %s: %v", name, err)
		}
	}
	if _, err := read(whole, gitpack.SHA256, small, nil); err == nil {
		t.Error("a pack of another format was read")
	}
}

func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	pack := new(builder).blob("a").pack()
	if _, err := gitpack.Read(ctx, strings.NewReader(pack), int64(len(pack)), gitpack.SHA1, gitpack.Limits{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestAgreesWithGit damages packs: what is read must be read by git too, and as
// the same objects.
func TestAgreesWithGit(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, "", "init", "-q")
	text := strings.Repeat("some text ", 30)
	good := new(builder).blob(text).delta(blobID(text), varint(300)+varint(12)+"\x90\x0a\x02hi").blob("b").pack()
	content := []byte(good[:len(good)-20])
	random := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range 3000 {
		mutant := bytes.Clone(content)
		mutant[8+random.IntN(len(mutant)-8)] ^= 1 << random.IntN(8)
		pack := summed(string(mutant))
		p, err := read(pack, gitpack.SHA1, gitpack.Limits{}, nil)
		if err != nil {
			continue
		}
		accepted++
		for n := range p.Len() {
			id, kind := p.At(n)
			if kind != gitpack.Blob && kind != gitpack.Tree {
				continue
			}
			git(t, dir, pack, "unpack-objects", "-q")
			if got := strings.TrimSpace(git(t, dir, "", "cat-file", "-t", id.String())); got != kind.String() {
				t.Errorf("git has %s as %s", id, got)
			}
		}
	}
	if accepted > 100 {
		t.Errorf("%d damaged packs were read", accepted)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(new(builder).blob("a").delta(blobID("a"), insert(1, "b")).add(2, 28, "", "100644 a\x00"+blobID("a")).pack()))
	f.Add([]byte(new(builder).delta(blobID("a"), insert(1, "b")).blob("a").add(6, 4, "\x0a", insert(1, "c")).pack()))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, pack := range []string{string(content), summed(string(content))} {
			c := &collector{types: make(map[int]gitpack.Type), data: make(map[int]string)}
			p, err := read(pack, gitpack.SHA1, gitpack.Limits{ObjectSize: 1 << 20, Memory: 1 << 20, Inflated: 4 << 20}, c)
			if err != nil {
				continue
			}
			if c.shown != p.Len() {
				t.Fatalf("%d of %d objects shown", c.shown, p.Len())
			}
			for n := range p.Len() {
				id, kind := p.At(n)
				if got, data, err := p.Get(id); err != nil || got != kind || string(data) != c.data[n] {
					t.Fatalf("%s: %v", id, err)
				}
			}
		}
	})
}

func FuzzObjects(f *testing.F) {
	f.Add([]byte("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor a <b> 0 +0000\n"))
	f.Add([]byte("100644 a\x00" + strings.Repeat("x", 20) + "40000 b\x00" + strings.Repeat("y", 20)))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _, _ = gitpack.SHA1.CommitLinks(data)
		_, _ = gitpack.SHA256.TagLink(data)
		entries, err := gitpack.SHA1.TreeEntries(data)
		if err != nil {
			return
		}
		var again []byte
		for _, e := range entries {
			again = append(again, e.Mode+" "+e.Name+"\x00"+string(e.ID)...)
		}
		if !bytes.Equal(again, data) {
			t.Fatal("a tree is not what was read of it")
		}
	})
}
