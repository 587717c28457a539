package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSelection(t *testing.T) {
	for _, c := range []struct {
		name           string
		environ        []string
		known, unknown []string
	}{
		{"unset: all", nil, []string{"egress", "pipelock", "git-gate", "supervise"}, nil},
		{"one", []string{"CLAUDE_BOTTLE_SIDECAR_DAEMONS=egress"}, []string{"egress"}, nil},
		{"blanks, doubles, any order", []string{"CLAUDE_BOTTLE_SIDECAR_DAEMONS= supervise ,,egress,\tegress,"}, []string{"egress", "supervise"}, nil},
		{"unknown beside known", []string{"CLAUDE_BOTTLE_SIDECAR_DAEMONS=mitm,git-gate,Egress"}, []string{"git-gate"}, []string{"mitm", "Egress"}},
		{"only unknown: none", []string{"CLAUDE_BOTTLE_SIDECAR_DAEMONS=mitm"}, nil, []string{"mitm"}},
		{"empty: none", []string{"CLAUDE_BOTTLE_SIDECAR_DAEMONS="}, nil, nil},
		{"commas: none", []string{"CLAUDE_BOTTLE_SIDECAR_DAEMONS=, ,"}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := environment(c.environ).parse()
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.roles, c.known) || !slices.Equal(got.unknown, c.unknown) {
				t.Errorf("selected %q, unknown %q; want %q, %q", got.roles, got.unknown, c.known, c.unknown)
			}
		})
	}
}

func TestEnvironmentDefaultsAndOverrides(t *testing.T) {
	c, err := environment([]string{"EGRESS_LISTEN=", "SUPERVISE_LISTEN=unix:/s", "EGRESS_TOKEN_7=seven", "EGRESS_TOKEN_8=", "EGRESS_TOKEN_X=x"}).parse()
	if err != nil {
		t.Fatal(err)
	}
	if c.egress.listen != "0.0.0.0:9099" || c.maxCrashes != 3 || c.supervise.wait != 30*time.Second || c.slug != "bottle" ||
		c.healthListen != "127.0.0.1:9101" || c.audit != "/run/audit/bundle.jsonl" || c.gitGate.listen != "0.0.0.0:9420" || c.pipelock.listenSet {
		t.Errorf("defaults: %+v", c)
	}
	if c.supervise.listen != "unix:/s" {
		t.Errorf("SUPERVISE_LISTEN is %q", c.supervise.listen)
	}
	if want := map[string]string{"EGRESS_TOKEN_7": "seven"}; !maps.Equal(c.egress.tokens, want) {
		t.Errorf("tokens %v, want %v", c.egress.tokens, want)
	}
}

func TestMalformedVariablesAreNamed(t *testing.T) {
	for _, entry := range []string{"CLAUDE_BOTTLE_MAX_CRASHES=-1", "CLAUDE_BOTTLE_MAX_CRASHES=many", "SUPERVISE_WAIT=30", "SUPERVISE_WAIT=-1s"} {
		name, _, _ := strings.Cut(entry, "=")
		if _, err := environment([]string{entry}).parse(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want one that names the variable", entry, err)
		}
	}
	if _, err := environment([]string{"CLAUDE_BOTTLE_MAX_CRASHES=0", "SUPERVISE_WAIT=1m"}).parse(); err != nil {
		t.Errorf("well-formed: %v", err)
	}
}

func TestForgetLeavesNoSecretAndNoProxy(t *testing.T) {
	gone := []string{"HTTP_PROXY", "https_proxy", "no_proxy", "EGRESS_TOKEN_1", "EGRESS_TOKEN_23", "CLAUDE_BOTTLE_SECRETS", "LISTEN_FDS", "PIPELOCK_TOKEN"}
	for _, name := range append([]string{"KEPT"}, gone...) {
		t.Setenv(name, "value")
	}
	environment(os.Environ()).forget()
	for _, name := range gone {
		if _, ok := os.LookupEnv(name); ok {
			t.Errorf("%s is still there", name)
		}
	}
	if os.Getenv("KEPT") != "value" {
		t.Error("an ordinary variable is gone")
	}
}

func TestSecretsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets")
	write := func(content string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	known := func() ([]string, error) {
		c, err := environment([]string{"CLAUDE_BOTTLE_SECRETS=" + path, "EGRESS_TOKEN_1=token-of-egress"}).parse()
		if err != nil {
			t.Fatal(err)
		}
		return knownSecrets(c)
	}
	write("first-secret\r\n\nsecond secret", 0o600)
	if got, err := known(); err != nil || !slices.Equal(got, []string{"first-secret", "second secret", "token-of-egress"}) {
		t.Errorf("got %q, %v", got, err)
	}
	write("first-secret\n", 0o400)
	if _, err := known(); err != nil {
		t.Errorf("mode 0400: %v", err)
	}
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		say     string
	}{
		"others may read": {"first-secret\n", 0o604, "chmod 600"},
		"group may read":  {"first-secret\n", 0o640, "chmod 600"},
		"too short":       {"first-secret\nshort\n", 0o600, "line 2"},
		"too large":       {strings.Repeat("0123456789\n", maxSecretsBytes/10), 0o600, "larger"},
	} {
		write(c.content, c.mode)
		_, err := known()
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: error %v, want %q in it", name, err, c.say)
		} else if strings.Contains(err.Error(), "short\n") || strings.Contains(err.Error(), "first-secret") {
			t.Errorf("%s: the error shows a secret: %v", name, err)
		}
	}
	os.Remove(path)
	if _, err := known(); err == nil {
		t.Error("a missing file is no error")
	}
}
