//go:build linux

package namespace

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pair is both ends of a wire.
func pair(t *testing.T, limit int) (a, b *wire) {
	t.Helper()
	ours, theirs, err := wirePair()
	if err != nil {
		t.Fatal(err)
	}
	a, errA := newWire(ours, limit)
	b, errB := newWire(theirs, limit)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.close()
		b.close()
	})
	return a, b
}

func TestWireCarriesMessagesAndFiles(t *testing.T) {
	a, b := pair(t, 8<<20)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	long := strings.Repeat("long ", 1<<20)
	go func() {
		a.send("first", write, write)
		a.send(long)
		a.send("last", write)
		a.close()
		write.Close()
	}()
	for _, want := range []struct {
		text  string
		files int
	}{{"first", 2}, {long, 0}, {"last", 1}} {
		var got string
		files, err := b.receive(&got)
		if err != nil || got != want.text || len(files) != want.files {
			t.Fatalf("%.20q with %d files %v, want %.20q with %d", got, len(files), err, want.text, want.files)
		}
		for _, file := range files {
			if flags, err := unix.FcntlInt(file.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Error("a received file would be inherited")
			}
		}
		closeAll(files)
	}
	if _, err := b.receive(new(string)); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
	// Every copy of the pipe's end is closed.
	if _, err := read.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the pipe: %v", err)
	}
}

// What a hostile end sends is bounded and costs one connection.
func TestWireRefuses(t *testing.T) {
	for name, sent := range map[string][]byte{
		"too long":   {0x7f, 0xff, 0xff, 0xff},
		"cut":        {0, 0, 0, 9, '"', 'x'},
		"cut header": {0, 0},
		"no JSON":    {0, 0, 0, 2, '{', '['},
		"empty":      {0, 0, 0, 0},
		"wrong type": append([]byte{0, 0, 0, 3}, `{} `...),
	} {
		a, b := pair(t, maxEvent)
		if _, err := a.conn.Write(sent); err != nil {
			t.Fatal(err)
		}
		a.close()
		if _, err := b.receive(new(string)); err == nil {
			t.Errorf("%s: received", name)
		}
	}
}

// An end that answers and goes at once has still been asked.
func TestWireToGoneEnd(t *testing.T) {
	for range 200 {
		a, b := pair(t, maxEvent)
		go func() {
			b.receive(new(string))
			b.close()
		}()
		if err := a.send("question"); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzWire(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, '{', '}'})
	f.Add([]byte{0, 0, 0, 20, '{', '"', 'E'})
	f.Fuzz(func(t *testing.T, sent []byte) {
		a, b := pair(t, maxEvent)
		go func() {
			a.conn.Write(sent)
			a.close()
		}()
		for {
			var e event
			files, err := b.receive(&e)
			closeAll(files)
			if err != nil {
				return
			}
			if !bytes.Contains(sent, []byte("{")) && !bytes.Contains(sent, []byte("null")) {
				t.Fatalf("%q became %+v", sent, e)
			}
		}
	})
}
