package pipelock

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

const token = "bearer-token-of-this-bottle"

// openDoor runs the role with a door that asks for the token, and returns its
// address.
func (l *lab) openDoor() string {
	l.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.t.Fatal(err)
	}
	l.config.Listeners, l.config.BearerToken = []net.Listener{listener}, token
	l.start()
	return listener.Addr().String()
}

func (l *lab) through(door, authorization string) *http.Client {
	t := &http.Transport{
		Proxy:              http.ProxyURL(&url.URL{Scheme: "http", Host: door}),
		ProxyConnectHeader: http.Header{"Proxy-Authorization": {authorization}},
		TLSClientConfig:    &tls.Config{RootCAs: l.roots.Pool()},
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, r *http.Response) error {
			if r.StatusCode == http.StatusOK {
				return nil
			}
			text, _ := bufio.NewReader(r.Body).ReadString('\n')
			return fmt.Errorf("%d %s", r.StatusCode, text)
		},
	}
	l.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

func TestDoorAsksForTheToken(t *testing.T) {
	l := newLab(t)
	door := l.openDoor()
	known := l.through(door, "Bearer "+token)
	l.mustGet(known, allowed)
	l.mustNotReach("a host that is not allowed", func() error {
		_, err := l.get(known, l.url(denied))
		return err
	}, "403")
	for _, authorization := range []string{"", "Bearer ", "Bearer wrong", "Bearer " + token + "x", "Basic " + token, token} {
		l.mustNotReach("with "+authorization, func() error {
			_, err := l.get(l.through(door, authorization), l.url(allowed))
			return err
		}, "407")
	}
	if strings.Contains(l.log.String(), token) {
		t.Error("the token is logged")
	}
}

func TestDoorForwardsPlainHTTP(t *testing.T) {
	l := newLab(t)
	door := l.openDoor()
	var got http.Header
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		io.WriteString(w, r.Host+r.URL.RequestURI())
	}))
	defer plain.Close()
	_, port, _ := net.SplitHostPort(plain.Listener.Addr().String())
	ask := func(host, authorization string) (int, string) {
		request := "GET http://" + host + ":" + port + "/a?b=c HTTP/1.1\r\nHost: " + host + ":" + port +
			"\r\nProxy-Authorization: " + authorization + "\r\nConnection: close\r\n\r\n"
		return l.raw(door, request)
	}
	if code, body := ask(allowed, "Bearer "+token); code != 200 || body != allowed+":"+port+"/a?b=c" {
		t.Errorf("allowed: %d %q", code, body)
	}
	if got.Get("Proxy-Authorization") != "" {
		t.Error("the origin was told the token")
	}
	got = nil
	if code, body := ask(denied, "Bearer "+token); code != 403 || got != nil {
		t.Errorf("denied: %d %q, the origin saw %v", code, body, got)
	}
	if code, _ := ask(allowed, "Bearer wrong"); code != 407 || got != nil {
		t.Errorf("without token: %d, the origin saw %v", code, got)
	}
}

// raw sends bytes and returns status and body of the answer.
func (l *lab) raw(address, request string) (int, string) {
	l.t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		l.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}

// What pipelock serves beside the proxy is for nobody. The control asks the
// child itself, which does serve it.
func TestDoorServesNoPagesOfTheChild(t *testing.T) {
	l := newLab(t)
	door := l.openDoor()
	child := l.role.current.address
	_, port, _ := net.SplitHostPort(child)
	for _, path := range []string{"/fetch?url=http://" + allowed + "/", "/ws"} {
		if code, body := l.raw(child, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); code != 200 || !strings.Contains(body, "reached") {
			t.Errorf("control: the child itself answers %s with %d %q", path, code, body)
		}
	}
	head := " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nProxy-Authorization: Bearer " + token + "\r\n\r\n"
	for _, target := range []string{"/fetch?url=http://" + allowed + "/", "/ws", "/stats", "/metrics", "/api/v1/killswitch", "//fetch", "/health/../fetch",
		"http://" + child + "/fetch?url=x", "http://localhost:" + port + "/ws", "http://pipelock/fetch", "http://x@" + allowed + "/fetch"} {
		if code, body := l.raw(door, "GET "+target+head); code == 200 || strings.Contains(body, "reached") {
			t.Errorf("GET %s: %d %q", target, code, body)
		}
	}
	if code, body := l.raw(door, "CONNECT "+child+head); code != 403 {
		t.Errorf("CONNECT to the child: %d %q", code, body)
	}
	if code, body := l.raw(door, "GET /health"+head); code != 200 || !strings.Contains(body, `"healthy"`) {
		t.Errorf("health: %d %q", code, body)
	}
}

func TestTunnelThroughDoorSurvivesReplacement(t *testing.T) {
	l := newLab(t)
	door := l.openDoor()
	client := l.through(door, "Bearer "+token)
	l.mustGet(client, allowed)
	reached := l.hits.Load()
	l.replaced()
	l.mustGet(client, allowed) // on the connection it has
	if n := len(l.children()); n != 2 {
		t.Errorf("%d children, want the old one with its tunnel and the new one", n)
	}
	client.CloseIdleConnections()
	l.until("the old child is gone", func() bool { return len(l.children()) == 1 })
	l.mustGet(client, allowed)
	if l.hits.Load() != reached+2 {
		t.Errorf("%d requests reached the origin, want %d", l.hits.Load(), reached+2)
	}
}
