//go:build linux

package compose_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/claude-bottle/claude-bottle/attack"
	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/control"
)

// engineRun runs the engine's own client.
func engineRun(args ...string) (string, error) {
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

func engine(t *testing.T, args ...string) string {
	t.Helper()
	out, err := engineRun(args...)
	must(t, err)
	return out
}

// play makes of a file what `docker compose up` would, with the engine's plain
// client: every key that a file of ours has. leaveOut are services that are not
// started.
func play(t *testing.T, b bottle, leaveOut ...string) {
	t.Helper()
	t.Cleanup(func() { remove(t, b) })
	for _, n := range b.project.Networks {
		args := []string{"network", "create", "--driver", n.Driver, "--subnet", n.Ipam.Config[0].Subnet}
		if n.Internal {
			args = append(args, "--internal")
		}
		args = append(args, pairs("--opt", n.DriverOpts)...)
		engine(t, append(append(args, pairs("--label", n.Labels)...), n.Name)...)
	}
	for _, v := range b.project.Volumes {
		engine(t, append(append([]string{"volume", "create"}, pairs("--label", v.Labels)...), v.Name)...)
	}
	resolved, err := b.project.WithServicesEnvironmentResolved(true)
	must(t, err)
	var mu sync.Mutex // the engine's client is asked by one at a time
	err = resolved.ForEachService(nil, func(name string, s *types.ServiceConfig) error {
		mu.Lock()
		defer mu.Unlock()
		if slices.Contains(leaveOut, name) {
			return nil
		}
		for part, need := range s.DependsOn {
			if err := await(resolved.Services[part].ContainerName, need.Condition); err != nil {
				return err
			}
		}
		return begin(resolved, s)
	})
	must(t, err)
}

// begin makes a service's container and starts it.
func begin(project *types.Project, s *types.ServiceConfig) error {
	args := []string{"create", "--name", s.ContainerName, "--user", s.User, "--hostname", s.Hostname, "--workdir", s.WorkingDir, "--restart", s.Restart}
	if len(s.Entrypoint) > 0 {
		args = append(args, "--entrypoint", s.Entrypoint[0])
	}
	for name, on := range map[string]bool{"--tty": s.Tty, "--interactive": s.StdinOpen, "--read-only": s.ReadOnly, "--no-healthcheck": s.HealthCheck.Disable} {
		if on {
			args = append(args, name)
		}
	}
	if !s.HealthCheck.Disable {
		args = append(args, "--health-interval", s.HealthCheck.Interval.String())
	}
	for name, value := range s.Environment {
		args = append(args, "--env", name+"="+*value)
	}
	for flag, values := range map[string][]string{"--cap-drop": s.CapDrop, "--cap-add": s.CapAdd, "--security-opt": s.SecurityOpt, "--tmpfs": s.Tmpfs, "--add-host": s.ExtraHosts.AsList(":")} {
		for _, value := range values {
			args = append(args, flag, value)
		}
	}
	args = append(append(args, pairs("--sysctl", s.Sysctls)...), pairs("--label", s.Labels)...)
	if s.MemLimit > 0 {
		args = append(args, "--memory", fmt.Sprint(int64(s.MemLimit)), "--memory-swap", fmt.Sprint(int64(s.MemSwapLimit)), "--pids-limit", fmt.Sprint(s.PidsLimit))
	}
	for _, v := range s.Volumes {
		source := v.Source
		if v.Type == types.VolumeTypeVolume {
			source = project.Volumes[v.Source].Name
		}
		mount := fmt.Sprintf("type=%s,source=%s,target=%s", v.Type, source, v.Target)
		if v.ReadOnly {
			mount += ",readonly"
		}
		args = append(args, "--mount", mount)
	}
	networks := slices.Sorted(maps.Keys(s.Networks))
	switch {
	case len(networks) > 0:
		args = append(args, onNetwork(project, s, networks[0], "--network")...)
	case strings.HasPrefix(s.NetworkMode, "service:"):
		args = append(args, "--network", "container:"+project.Services[strings.TrimPrefix(s.NetworkMode, "service:")].ContainerName)
	default:
		args = append(args, "--network", s.NetworkMode)
	}
	if _, err := engineRun(append(append(args, s.Image), s.Command...)...); err != nil {
		return err
	}
	for _, name := range networks[min(1, len(networks)):] {
		if _, err := engineRun(append(append([]string{"network", "connect"}, onNetwork(project, s, name, "")...), s.ContainerName)...); err != nil {
			return err
		}
	}
	_, err := engineRun("start", s.ContainerName)
	return err
}

func onNetwork(project *types.Project, s *types.ServiceConfig, name, flag string) []string {
	end := s.Networks[name]
	args := []string{"--ip", end.Ipv4Address}
	if flag != "" {
		args = append(args, flag, project.Networks[name].Name)
	}
	for _, alias := range end.Aliases {
		args = append(args, map[bool]string{true: "--network-alias", false: "--alias"}[flag != ""], alias)
	}
	if flag == "" {
		args = append(args, project.Networks[name].Name)
	}
	return args
}

func pairs[M ~map[string]string](flag string, values M) []string {
	var args []string
	for name, value := range values {
		args = append(args, flag, name+"="+value)
	}
	return args
}

// await waits for a condition of depends_on.
func await(container, condition string) error {
	switch condition {
	case types.ServiceConditionCompletedSuccessfully:
		if code, err := engineRun("wait", container); err != nil || code != "0" {
			said, _ := engineRun("logs", container)
			return fmt.Errorf("%s ended with %s: %w: %s", container, code, err, said)
		}
	case types.ServiceConditionHealthy:
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			state, err := engineRun("inspect", "-f", "{{.State.Health.Status}}", container)
			if err != nil || state == "healthy" {
				return err
			}
			if time.Now().After(deadline) {
				said, _ := engineRun("logs", container)
				return fmt.Errorf("%s is %s: %s", container, state, said)
			}
		}
	}
	return nil
}

// remove removes a bottle as `bottle down` and `bottle cleanup` do, and nothing
// is left.
func remove(t *testing.T, b bottle) {
	ctx := context.Background()
	if opened, err := b.backend.Open(ctx, b.plan.Slug); err == nil {
		must(t, opened.Down(ctx))
	} else {
		for _, s := range b.project.Services {
			_, _ = engineRun("kill", s.ContainerName)
		}
	}
	orphans, err := b.backend.Orphans(ctx)
	must(t, err)
	for _, o := range orphans {
		must(t, b.backend.Remove(ctx, o))
	}
	for _, args := range [][]string{{"ps", "-aq"}, {"network", "ls", "-q"}, {"volume", "ls", "-q"}} {
		if left := engine(t, append(args, "--filter", "label=claude-bottle.home="+string(b.home))...); left != "" {
			t.Errorf("left of %v: %s", args, left)
		}
	}
}

// execute runs a script in a bottle that runs.
func execute(t *testing.T, bottle backend.Bottle, script string) string {
	t.Helper()
	var out bytes.Buffer
	_, err := bottle.Exec(t.Context(), []string{"sh", "-c", script}, backend.Stdio{Out: &out})
	must(t, err)
	return out.String()
}

func logsOf(t *testing.T, container, want string) {
	t.Helper()
	var said string
	for deadline := time.Now().Add(time.Minute); !strings.Contains(said, want); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s never said %q:\n%s", container, want, said)
		}
		said = engine(t, "logs", container)
	}
}

// A bottle of a file is contained and works: its agent has its world, a live
// change reaches both filters, and the other commands know it.
func TestPlayed(t *testing.T) {
	for name, split := range map[string]bool{"bundle": false, "split": true} {
		t.Run(name, func(t *testing.T) {
			b := layOut(t, "played", split, "sh", "-c", "echo $LITERAL $SUPPLIED from $(whoami); touch /workspace/made; ls -a ~; sleep 600")
			play(t, b)
			logsOf(t, "claude-bottle-agent-played", "pla$in "+supplied+" from agent")
			logsOf(t, "claude-bottle-agent-played", ".claude.json")
			if shown := engine(t, "inspect", "claude-bottle-agent-played"); strings.Contains(shown, supplied) || strings.Contains(shown, token) {
				t.Error("the engine shows a secret of the agent's")
			}
			bottle, err := b.backend.Open(t.Context(), "played")
			must(t, err)
			operator := control.For(bottle, control.Options{Home: b.home, Slug: "played", Name: "tester"})
			_, err = operator.Allow(t.Context(), "second.example.com")
			must(t, err)
			if out := execute(t, bottle, "curl -sS http://_egress.local/allowlist"); !strings.Contains(out, "second.example.com") {
				t.Errorf("the live change did not arrive: %s", out)
			}
			if out := execute(t, bottle, "touch /home/agent/mine /workspace/mine && echo wrote; touch /etc/mine /.claude-bottle/mine 2>/dev/null || echo refused"); out != "wrote\nrefused\n" {
				t.Errorf("writing: %q", out)
			}
			for _, c := range attack.Live() {
				if c.Name != "topology" {
					continue
				}
				exec := func(ctx context.Context, command []string, out, err io.Writer) (int, error) {
					return bottle.Exec(ctx, command, backend.Stdio{Out: out, Err: err})
				}
				for _, r := range attack.Run(t.Context(), exec, nil, []attack.Case{c}) {
					for _, problem := range r.Problems {
						t.Errorf("%s: %s", c.Name, problem)
					}
				}
			}
		})
	}
}

// Without the seal the gate stays closed, also for a container that somebody
// starts again alone; with it, it opens.
func TestGateStaysClosed(t *testing.T) {
	b := layOut(t, "unsealed", false, "touch", "/workspace/ran")
	play(t, b, "seal")
	time.Sleep(2 * time.Second) // several proofs
	if state := engine(t, "inspect", "-f", "{{.State.Status}}", "claude-bottle-agent-unsealed"); state != "running" {
		t.Fatalf("the agent's container is %s", state)
	}
	if exists(b.plan.Workspace, "ran") {
		t.Fatal("the command ran on a network that is not sealed")
	}
	seal := b.project.Services["seal"]
	must(t, begin(b.project, &seal))
	if code := engine(t, "wait", "claude-bottle-agent-unsealed"); code != "0" || !exists(b.plan.Workspace, "ran") {
		t.Errorf("sealed: code %s, ran %v", code, exists(b.plan.Workspace, "ran"))
	}
}
