package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// How often each operation is measured.
const (
	fewRuns  = 3
	manyRuns = 7
)

// gitLab is an sshd with repositories and a bundle with the git gate before it.
// Each run of a push has an upstream of its own: none has seen the push before.
type gitLab struct {
	dir  string
	user string
	ssh  string // host:port
	gate string
	stop []func()
}

// benchGit prints a table of git's operations, directly over SSH and through the
// gate to the same sshd, by turns.
func benchGit(ctx context.Context, out io.Writer, dir string) error {
	g, err := newGitLab(ctx, dir)
	if err != nil {
		return err
	}
	defer g.close()
	fmt.Fprintln(out, "git-gate: every object scanned; git directly over SSH and through the gate to the same sshd, by turns; ms, medians")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tdirect\tgate\tgate/direct\tbudget\t")
	for _, row := range []struct {
		name, budget string
		runs         int
		args         func(way string, run int) []string
	}{
		{"push of 100 commits, the first one", "1.5", manyRuns, func(way string, run int) []string {
			return []string{"-C", g.path("work"), "push", "-q", g.url(way, "few", run), "many:main"}
		}},
		{"push of 1 more commit", "", manyRuns, func(way string, run int) []string {
			return []string{"-C", g.path("work"), "push", "-q", g.url(way, "few", run), "more:main"}
		}},
		{"push of a 33 MB pack, 10,000 files", "", fewRuns, func(way string, run int) []string {
			return []string{"-C", g.path("large"), "push", "-q", g.url(way, "large", run), "main"}
		}},
		{"clone of it", "", fewRuns, func(way string, run int) []string {
			return []string{"clone", "-q", "--bare", g.url(way, "large", run), g.path(fmt.Sprintf("clone-%s-%d", way, run))}
		}},
		{"fetch of nothing new", "", manyRuns, func(way string, run int) []string {
			return []string{"-C", g.path("clone-direct-0"), "fetch", "-q", g.url(way, "large", 0), "main"}
		}},
	} {
		took := map[string][]time.Duration{}
		for run := range row.runs {
			for _, way := range []string{"direct", "gate"} {
				start := time.Now()
				if err := g.git(ctx, nil, row.args(way, run)...); err != nil {
					return fmt.Errorf("%s, %s: %w", row.name, way, err)
				}
				took[way] = append(took[way], time.Since(start))
			}
		}
		direct, gate := middle(took["direct"]), middle(took["gate"])
		fmt.Fprintf(table, "%s\t%.0f\t%.0f\t%.2f\t%s\t\n", row.name,
			milliseconds(direct), milliseconds(gate), float64(gate)/float64(direct), row.budget)
	}
	return table.Flush()
}

func newGitLab(ctx context.Context, dir string) (_ *gitLab, err error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	g := &gitLab{dir: filepath.Join(dir, "git"), user: me.Username}
	if err := os.Mkdir(g.dir, 0o700); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			g.close()
		}
	}()
	if err := g.startSSH(ctx); err != nil {
		return nil, fmt.Errorf("sshd: %w", err)
	}
	if err := g.makeRepositories(ctx); err != nil {
		return nil, err
	}
	if err := g.startGate(ctx); err != nil {
		return nil, fmt.Errorf("git-gate: %w", err)
	}
	return g, nil
}

func (g *gitLab) close() {
	for i := len(g.stop) - 1; i >= 0; i-- {
		g.stop[i]()
	}
}

func (g *gitLab) path(name string) string { return filepath.Join(g.dir, name) }

func upstreamName(way, kind string, run int) string {
	return fmt.Sprintf("%s-%s-%d.git", way, kind, run)
}

func (g *gitLab) url(way, kind string, run int) string {
	name := upstreamName(way, kind, run)
	if way == "gate" {
		return "http://" + g.gate + "/" + name
	}
	return g.sshURL(name)
}

func (g *gitLab) sshURL(name string) string { return "ssh://" + g.user + "@" + g.ssh + g.path(name) }

// git runs the client without the machine's settings.
func (g *gitLab) git(ctx context.Context, input io.Reader, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Stdin = g.dir, input
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + g.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_SSH_COMMAND=ssh -i " + g.path("identity") + " -o IdentitiesOnly=yes -o UserKnownHostsFile=" + g.path("known_hosts"),
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %.300s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (g *gitLab) run(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	g.stop = append(g.stop, func() {
		cmd.Process.Signal(os.Interrupt)
		time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
	})
	return nil
}

func (g *gitLab) startSSH(ctx context.Context) (err error) {
	for _, name := range []string{"host", "identity"} {
		if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", g.path(name)).CombinedOutput(); err != nil {
			return fmt.Errorf("ssh-keygen: %w: %s", err, out)
		}
	}
	if g.ssh, err = freeAddress(); err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(g.ssh)
	public, err := os.ReadFile(g.path("host.pub"))
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		"known_hosts": fmt.Sprintf("[%s]:%s %s", host, port, public),
		"sshd_config": fmt.Sprintf("ListenAddress %s\nHostKey %s\nAuthorizedKeysFile %s\nStrictModes no\nUsePAM no\nPidFile none\n"+
			"PasswordAuthentication no\nPermitRootLogin prohibit-password\nAcceptEnv GIT_PROTOCOL\n", g.ssh, g.path("host"), g.path("identity.pub")),
	} {
		if err := os.WriteFile(g.path(name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // sshd's own empty folder
			return err
		}
	}
	if err := g.run(exec.CommandContext(ctx, "/usr/sbin/sshd", "-D", "-f", g.path("sshd_config"))); err != nil {
		return err
	}
	return answers(ctx, g.ssh)
}

// answers waits until a server listens.
func answers(ctx context.Context, address string) error {
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			return conn.Close()
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

func (g *gitLab) startGate(ctx context.Context) (err error) {
	known, err := os.ReadFile(g.path("known_hosts"))
	if err != nil {
		return err
	}
	var config bytes.Buffer
	config.WriteString("repos:\n")
	for _, name := range g.upstreams("gate") {
		fmt.Fprintf(&config, "  %s:\n    url: %s\n    identity: identity\n    host_key: %q\n",
			strings.TrimSuffix(name, ".git"), g.sshURL(name), strings.TrimSpace(string(known)))
	}
	if err := os.WriteFile(g.path("gate.yaml"), config.Bytes(), 0o600); err != nil {
		return err
	}
	if g.gate, err = freeAddress(); err != nil {
		return err
	}
	socket := g.path("health.sock")
	cmd := exec.CommandContext(ctx, "bin/sidecars")
	cmd.Env = []string{
		"CLAUDE_BOTTLE_SIDECAR_DAEMONS=git-gate",
		"CLAUDE_BOTTLE_HEALTH_LISTEN=unix:" + socket,
		"CLAUDE_BOTTLE_AUDIT=" + g.path("audit/bundle.jsonl"),
		"GIT_GATE_LISTEN=" + g.gate,
		"GIT_GATE_CONFIG=" + g.path("gate.yaml"),
	}
	if err := g.run(cmd); err != nil {
		return err
	}
	return ready(ctx, socket)
}
