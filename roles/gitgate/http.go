package gitgate

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/policy"
)

// handler serves the three calls of smart HTTP for each declared repository
// and refuses everything else with words.
func (r *Role) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{repo}/info/refs", r.named(func(w http.ResponseWriter, q *http.Request, repo *repository) {
		// A client names its service exactly so; the old protocol without one
		// is not served.
		switch q.URL.RawQuery {
		case "service=" + uploadPack:
			r.advertiseFetch(w, q, repo)
		case "service=" + receivePack:
			r.advertisePush(w, q, repo)
		default:
			r.refuse(w, q, repo, policy.Method, "only git's smart HTTP is served here")
		}
	}))
	mux.HandleFunc("POST /{repo}/"+uploadPack, r.named(r.fetch))
	mux.HandleFunc("POST /{repo}/"+receivePack, r.named(r.push))
	mux.HandleFunc("/", func(w http.ResponseWriter, q *http.Request) {
		r.refuse(w, q, nil, policy.Path, "only fetch and push of declared repositories are served here")
	})
	return mux
}

// named finds the repository that the path names, as the configuration spells
// it.
func (r *Role) named(serve func(http.ResponseWriter, *http.Request, *repository)) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		name := strings.TrimSuffix(q.PathValue("repo"), ".git")
		repo, ok := r.repositories[name]
		if !ok {
			r.refuse(w, q, nil, policy.NoRoute, "no repository of this name is declared")
			return
		}
		serve(w, q, repo)
	}
}

// allow writes the verdict down; when that fails it refuses.
func (r *Role) allow(w http.ResponseWriter, q *http.Request, repo *repository, action string) bool {
	if err := r.record(q, repo, action, "allow", "", ""); err != nil {
		r.log.Error("the audit log cannot be written", "error", err.Error())
		http.Error(w, "git-gate: refused: the audit log cannot be written", http.StatusServiceUnavailable)
		return false
	}
	return true
}

// refuse tells the client why, in plain text, which git shows as "remote: …".
func (r *Role) refuse(w http.ResponseWriter, q *http.Request, repo *repository, rule policy.Rule, reason string) {
	reason = r.scanner.Redact(reason)
	if err := r.record(q, repo, "request", "block", rule, reason); err != nil {
		r.log.Error("the audit log cannot be written", "error", err.Error())
	}
	w.Header().Set(policy.BlockHeader, string(rule))
	http.Error(w, fmt.Sprintf("git-gate: refused: %s: %s", rule, reason), http.StatusForbidden)
}

func (r *Role) upstreamFailed(w http.ResponseWriter, q *http.Request, repo *repository, err error) {
	reason := r.scanner.Redact(err.Error())
	if err := r.record(q, repo, "request", "upstream", "", reason); err != nil {
		r.log.Error("the audit log cannot be written", "error", err.Error())
	}
	r.log.Warn("upstream failed", "repository", repo.name, "error", reason)
	http.Error(w, "git-gate: upstream: "+reason, http.StatusBadGateway)
}

func (r *Role) record(q *http.Request, repo *repository, action, decision string, rule policy.Rule, reason string) error {
	detail := map[string]any{"method": q.Method, "path": q.URL.Path}
	if repo != nil {
		detail["repository"] = repo.name
	}
	if rule != "" {
		detail["rule"] = string(rule)
	}
	if reason != "" {
		detail["reason"] = reason
	}
	return r.audit.Append(audit.Record{Actor: "git-gate", Action: action, Decision: decision, Detail: detail})
}
