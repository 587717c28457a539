package egress

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/policy"
)

const (
	roleName = "egress"
	allowed  = "allow"
	refused  = "block"
)

// refuse answers with a refusal that was recorded.
func (r *Role) refuse(w http.ResponseWriter, d policy.Decision) {
	action := "request"
	if d.Method == http.MethodConnect {
		action = "connect"
	}
	d = r.redacted(d)
	if err := r.recordBlock(action, d); err != nil {
		r.unrecorded(w, d.Host)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set(policy.BlockHeader, string(d.Rule))
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write(d.Body())
}

// refuseBroken answers a request whose bytes broke the grammar of HTTP.
func (r *Role) refuseBroken(w http.ResponseWriter, v *violation, host string) {
	w.Header().Set("Connection", "close")
	about := policy.Decision{Host: host, Method: v.method, Path: rawPath(v.target)}
	r.refuse(w, blocked(v.rule, about, v.reason, remedyMalformed))
}

// redacted cleans what of a refusal came from the agent.
func (r *Role) redacted(d policy.Decision) policy.Decision {
	d.Host, d.Path, d.Reason = r.Scanner.Redact(d.Host), r.Scanner.Redact(d.Path), r.Scanner.Redact(d.Reason)
	return d
}

// recordBlock records a refusal and logs it.
func (r *Role) recordBlock(action string, d policy.Decision) error {
	d = r.redacted(d)
	// The audit log counts repeated refusals, this log would only grow.
	r.Log.Debug("refused", "rule", d.Rule, "host", d.Host, "method", d.Method, "path", d.Path, "reason", d.Reason)
	detail := detailOf(d)
	detail["rule"], detail["reason"] = string(d.Rule), d.Reason
	if d.Port != 0 {
		detail["port"] = int(d.Port)
	}
	if d.Plain {
		detail["plain"] = true
	}
	if d.WebSocket {
		detail["websocket"] = true
	}
	return r.record(action, refused, detail)
}

// detailOf is a record's detail about a request.
func detailOf(d policy.Decision) map[string]any {
	return map[string]any{"host": d.Host, "method": d.Method, "path": d.Path}
}

// record writes one verdict to the audit log.
func (r *Role) record(action, decision string, detail map[string]any) error {
	err := r.recordOwed()
	if err == nil {
		err = r.Audit.Append(audit.Record{Actor: roleName, Action: action, Decision: decision, Detail: detail})
	}
	if err != nil {
		r.Log.Error("the audit log takes no record, so nothing is let through", "error", err)
	}
	return err
}

// recordEnd writes how a request ended whose verdict is written. Nothing waits
// for it.
func (r *Role) recordEnd(decision string, detail map[string]any) {
	err := r.Audit.AppendLater(audit.Record{Actor: roleName, Action: "response", Decision: decision, Detail: detail})
	if err != nil {
		r.Log.Error("the audit log does not take how a request ended", "error", err)
	}
}

// unrecorded answers when a verdict cannot be kept.
func (r *Role) unrecorded(w http.ResponseWriter, host string) {
	answerTrouble(w, http.StatusServiceUnavailable, "unavailable", host, "the audit log takes no record, so nothing is let through")
}

// upstreamTrouble answers when an allowed request came to nothing.
func upstreamTrouble(w http.ResponseWriter, status int, host, reason string) {
	answerTrouble(w, status, "upstream", host, reason)
}

// answerTrouble answers a request that failed without being refused.
func answerTrouble(w http.ResponseWriter, status int, kind, host, reason string) {
	body, err := json.Marshal(struct {
		Error  string `json:"error"`
		Role   string `json:"role"`
		Host   string `json:"host"`
		Reason string `json:"reason"`
	}{kind, roleName, host, reason})
	if err != nil {
		panic(err) // strings always marshal
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// logWriter passes a library's own words on to the log.
type logWriter struct{ log *slog.Logger }

func (l logWriter) Write(p []byte) (int, error) {
	l.log.Debug("proxy", "message", strings.TrimSpace(string(p)))
	return len(p), nil
}
