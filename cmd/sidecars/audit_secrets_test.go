package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
)

// hidden are the forms in which a known value may stand in what an agent says.
func hidden(secret string) map[string]string {
	percent := ""
	for _, b := range []byte(secret) {
		percent += fmt.Sprintf("%%%02x", b)
	}
	return map[string]string{
		"plain": secret, "upper": strings.ToUpper(secret), "base64": base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64url": base64.RawURLEncoding.EncodeToString([]byte(secret)), "hex": hex.EncodeToString([]byte(secret)), "percent": percent,
	}
}

// say sends bytes to a socket and returns the beginning of the answer.
func (w *world) say(socket, text string) string {
	w.t.Helper()
	conn, err := net.Dial("unix", w.path(socket))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, text); err != nil {
		return ""
	}
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return line
}

// ask calls a tool of supervise, in a session of its own.
func (w *world) ask(tool string, arguments map[string]any) {
	w.t.Helper()
	client := over(w.path("supervise.sock"))
	session := ""
	for i, call := range []map[string]any{
		{"method": "initialize", "params": map[string]any{"protocolVersion": "2025-03-26", "capabilities": map[string]any{},
			"clientInfo": map[string]any{"name": fmt.Sprint(arguments["justification"]), "version": "1"}}},
		{"method": "tools/call", "params": map[string]any{"name": tool, "arguments": arguments}},
	} {
		call["jsonrpc"], call["id"] = "2.0", i+1
		body, err := json.Marshal(call)
		if err != nil {
			w.t.Fatal(err)
		}
		r, err := http.NewRequest(http.MethodPost, "http://supervise:9100/mcp", bytes.NewReader(body))
		if err != nil {
			w.t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		if session != "" {
			r.Header.Set("Mcp-Session-Id", session)
		}
		response, err := client.Do(r)
		if err != nil {
			w.t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			w.t.Fatalf("%s: %s", tool, response.Status)
		}
		session = response.Header.Get("Mcp-Session-Id")
	}
}

// Whatever an agent puts where, the audit log does not hold it.
func TestNoSecretIsInTheAuditLog(t *testing.T) {
	w := newWorld(t, "SUPERVISE_WAIT=0s")
	w.start()
	w.waitReady()
	const control = "visible-control-value"
	words := hidden(token)
	words["shape"], words["control"] = found, control
	for _, word := range words {
		label := strings.NewReplacer("%", "-", "=", "", "+", "-", "/", "-", "_", "-").Replace(word)
		for _, text := range []string{
			"GET http://plain.example.com/" + word + "/x?q=" + word + " HTTP/1.1\r\nHost: plain.example.com\r\n\r\n",
			"GET http://" + label[:min(len(label), 63)] + ".example.com/ HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET http://" + word + ":" + word + "@example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
			"GET http://example.com:" + word + "/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
			"GET http://plain.example.com/ HTTP/1.1\r\nHost: " + word + "\r\nX-" + word + ": " + word + "\r\nCookie: " + word + "\r\n\r\n",
			word + " http://plain.example.com/ HTTP/1.1\r\nHost: plain.example.com\r\n\r\n",
			"GET " + word + " HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET /" + word + " HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET http://plain.example.com/ " + word + "\r\n\r\n",
			"GET http://plain.example.com/ HTTP/1.1\r\nHost: plain.example.com\r\nbroken " + word + "\r\n\r\n",
			"CONNECT " + label[:min(len(label), 63)] + ".example.com:443 HTTP/1.1\r\n\r\n",
			"CONNECT " + word + " HTTP/1.1\r\n\r\n",
			"CONNECT " + originHost + ":" + w.port + " HTTP/1.1\r\nHost: " + word + "\r\n\r\n",
			"CONNECT " + originHost + ":" + w.port + " HTTP/1.1\r\n\r\n" + word + word + "\r\n",
		} {
			w.say("egress.sock", text)
		}
		client := w.agent("egress.sock")
		for _, target := range []string{"/" + word, "/x?" + word, "/x?k=" + url.QueryEscape(word)} {
			r, err := http.NewRequest(http.MethodGet, w.url(target), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Word", word)
			if response, err := client.Do(r); err == nil {
				response.Body.Close()
			}
		}
		client.CloseIdleConnections()
		w.post(word)
		w.ask("egress-block", map[string]any{"host": "asked.example.com", "paths": []string{"/" + label}, "justification": "because " + word})
		w.ask("pipelock-block", map[string]any{"failed_url": "https://asked.example.com/" + label, "justification": word})
		w.ask("capability-block", map[string]any{"change": word, "justification": word})
		w.say("git.sock", "GET /"+word+".git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: git-gate\r\n\r\n")
		w.say("git.sock", word+" /"+word+" HTTP/1.1\r\nHost: "+word+"\r\n\r\n")
	}
	w.stop()

	files, err := filepath.Glob(filepath.Join(w.path("audit"), "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v %v", files, err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for form, word := range words {
		text := all.String()
		if !strings.HasPrefix(form, "base64") { // a host's name has no case, and no base64 without
			text, word = strings.ToLower(text), strings.ToLower(word)
		}
		held := strings.Contains(text, word)
		if want := form == "control"; held != want {
			at := max(0, strings.Index(text, word))
			t.Errorf("%s: in the audit log: %v, want %v: %s", form, held, want, text[max(0, at-300):min(len(text), at+100)])
		}
	}
	if !strings.Contains(all.String(), "[redacted]") {
		t.Error("nothing was taken out")
	}
	if report, err := audit.Verify(files[len(files)-1]); err != nil || report.Broken != nil || report.Records < 50 {
		t.Errorf("the chain: %+v %v", report, err)
	}
}
