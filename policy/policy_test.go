package policy_test

import (
	"encoding/json"
	"testing"

	"github.com/claude-bottle/claude-bottle/policy"
)

func TestBody(t *testing.T) {
	d := policy.Decision{
		Rule: policy.GitWrite, Role: "egress", Host: "api.test", Method: "PUT",
		Path: "/a", Reason: "hostile \"quotes\"\r\n\xff", Remedy: "ask",
	}
	got := map[string]string{}
	if err := json.Unmarshal(d.Body(), &got); err != nil {
		t.Fatalf("the body is no JSON object of strings: %v", err)
	}
	want := map[string]string{
		"error": "blocked", "role": "egress", "rule": "git-write", "host": "api.test",
		"method": "PUT", "path": "/a", "reason": "hostile \"quotes\"\r\n\ufffd", "remedy": "ask",
	}
	if len(got) != len(want) {
		t.Errorf("got %d members, want %d: %v", len(got), len(want), got)
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s = %q, want %q", k, got[k], v)
		}
	}
}

func TestZeroDecisionRefuses(t *testing.T) {
	if (policy.Decision{}).Allow {
		t.Error("the zero Decision allows")
	}
}
