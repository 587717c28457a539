package main

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAStaleSocketIsReplacedALiveOneIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listen := func() ([]net.Listener, error) {
		return new(sockets).listen("egress", "unix:"+path, "EGRESS_LISTEN")
	}
	first, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listen(); err == nil || !strings.Contains(err.Error(), "EGRESS_LISTEN") {
		t.Errorf("over a live one: error %v, want one that names the variable", err)
	}
	first[0].(*net.UnixListener).SetUnlinkOnClose(false) // as after kill -9
	first[0].Close()
	second, err := listen()
	if err != nil {
		t.Fatalf("over a stale one: %v", err)
	}
	second[0].Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listen(); err == nil {
		t.Error("listened over a file")
	}
	if content, _ := os.ReadFile(path); string(content) != "precious" {
		t.Error("the file in the way is gone")
	}
}

func TestAPortInUseNamesTheVariable(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = new(sockets).listen("egress", taken.Addr().String(), "EGRESS_LISTEN")
	if err == nil || !strings.Contains(err.Error(), "EGRESS_LISTEN") || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("error %v, want the address and the variable", err)
	}
}

func TestSocketActivationIsParsedStrictly(t *testing.T) {
	for name, environ := range map[string][]string{
		"no number":     {"LISTEN_FDS=x"},
		"negative":      {"LISTEN_FDS=-1"},
		"names missing": {"LISTEN_FDS=2", "LISTEN_FDNAMES=egress"},
	} {
		if _, err := inherit(environment(environ)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, environ := range map[string][]string{
		"unset":                   nil,
		"meant for another":       {"LISTEN_FDS=1", "LISTEN_FDNAMES=egress", "LISTEN_PID=1"},
		"none, and nothing named": {"LISTEN_FDS=0"},
	} {
		if s, err := inherit(environment(environ)); err != nil || len(s.inherited) != 0 {
			t.Errorf("%s: %v %v", name, s, err)
		}
	}
}

func TestALastingListenerOutlivesClose(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newLasting(inner.(*net.TCPListener))
	dial := func() net.Conn {
		t.Helper()
		conn, err := net.DialTimeout("tcp", inner.Addr().String(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	accepted := make(chan error, 1)
	go func() { _, err := l.Accept(); accepted <- err }()
	l.Close()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept that waited through Close: %v, want net.ErrClosed", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v, want net.ErrClosed", err)
	}

	client := dial() // between two lives: it waits in the queue
	l.revive()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "served")
	conn.Close()
	if got, _ := io.ReadAll(client); string(got) != "served" {
		t.Errorf("the client that waited got %q", got)
	}

	l.finish()
	dial().Close() // still open: only the next Close is the real one
	l.Close()
	if conn, err := net.Dial("tcp", inner.Addr().String()); err == nil {
		conn.Close()
		t.Error("still listening after the last Close")
	}
}
