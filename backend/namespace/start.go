//go:build linux

package namespace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/containment"
	"github.com/claude-bottle/claude-bottle/internal/commondir"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

// Backend runs bottles in namespaces.
type Backend struct{ options Options }

var _ backend.Backend = (*Backend)(nil)

// New returns the backend. It does nothing yet.
func New(o Options) backend.Backend {
	if o.Self == "" {
		o.Self = "/proc/self/exe"
	}
	return &Backend{options: o}
}

// Name is "namespace".
func (b *Backend) Name() string { return Name }

// proofs is how often a bundle on a busy machine may be too slow to answer. A leak
// is never tried again.
const proofs = 5

// initReady bounds the building of the world.
const initReady = 15 * time.Second

// Start implements backend.Backend. The plan's inputs must be written.
func (b *Backend) Start(ctx context.Context, p *plan.Plan, s backend.Stdio, progress func(step string)) (backend.Bottle, error) {
	if progress == nil {
		progress = func(string) {}
	}
	bottle, err := b.prepare(p)
	if err != nil {
		return nil, err
	}
	if err := bottle.start(ctx, s, progress); err != nil {
		bottle.teardown()
		return nil, err
	}
	context.AfterFunc(ctx, bottle.stop)
	return bottle, nil
}

// prepare claims the bottle, before there is anything to undo.
func (b *Backend) prepare(p *plan.Plan) (*bottle, error) {
	if err := state.CheckSlug(p.Slug); err != nil {
		return nil, err
	}
	if len(p.Command) == 0 {
		return nil, errors.New("the plan has no command")
	}
	workspace, err := filepath.EvalSymlinks(p.Workspace)
	if err != nil {
		return nil, fmt.Errorf("workspace: %w", err)
	}
	if err := checkWorkspace(workspace, b.options.Home); err != nil {
		return nil, err
	}
	id, err := identityOf(p.State)
	if err != nil {
		return nil, err
	}
	k, err := claim(p.State, p.Agent)
	if err != nil {
		return nil, err
	}
	return &bottle{
		plan: p, options: b.options, workspace: workspace, identity: id, keeper: k,
		thread: newThread(), down: make(chan struct{}), done: make(chan struct{}),
	}, nil
}

// start does everything up to the agent's first instruction. On an error the
// caller tears down what there is.
func (b *bottle) start(ctx context.Context, s backend.Stdio, progress func(string)) error {
	host, err := containment.NewHost()
	if err != nil {
		return err
	}
	defer host.Close()
	if b.commondir, err = commondir.Hold(b.workspace); err != nil {
		return err
	}

	progress("building the bottle")
	limits, err := b.launch()
	if err != nil {
		return err
	}
	if limits != "" {
		progress(limits)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, initReady+bundleReady, errors.New("starting took too long"))
	defer cancel()
	listeners, err := await(ctx, b.guest, b.guest.listening)
	if err != nil {
		return fmt.Errorf("build the bottle: %w", err)
	}
	b.files = append(b.files, listeners...)
	progress("starting the bundle")
	if err := b.startBundle(listeners); err != nil {
		return err
	}
	if _, err := await(ctx, b.guest, b.guest.ready); err != nil {
		return fmt.Errorf("build the bottle: %w", err)
	}
	if err := b.bundle.waitReady(ctx); err != nil {
		return err
	}
	progress("proving containment")
	if err := b.prove(ctx, host.Targets); err != nil {
		return err
	}
	return b.begin(ctx, s)
}

// launch starts the init, limited, and tells it what to build. The note, which
// begins with "note: ", says which limits could not be had; empty = none.
func (b *bottle) launch() (note string, err error) {
	to := world{
		Slug: b.plan.Slug, Workspace: b.workspace, Listeners: portsOf(b.plan), Files: b.plan.AgentFiles,
		TmpfsBytes: tmpfsBytes(b.plan.Limits), DropGroups: b.identity.foreign,
	}
	var files []*os.File
	if b.identity.foreign {
		mount, err := mapWorkspace(b.workspace, b.options.Self, b.identity.uid)
		if err != nil {
			return "", err
		}
		defer mount.Close()
		to.Workspace, files = "", []*os.File{mount}
	}
	if b.cgroups, err = newCgroups(b.plan.State, b.plan.Limits); err != nil {
		b.limits = b.plan.Limits
		note = "note: no control group for the bottle's limits (" + strings.ReplaceAll(err.Error(), "\n", "; ") + "); they hold for each process, not for all together"
	}
	if err := b.keeper.update(func(r *record) { r.Cgroups = b.cgroups }); err != nil {
		return "", err
	}
	if b.guest, err = newGuest(b.thread, b.options.Self, b.identity); err != nil {
		return "", err
	}
	pid := b.guest.cmd.Process.Pid
	if err := b.cgroups.add(pid); err != nil {
		return "", b.guest.explainEnd(err)
	}
	if err := b.keeper.update(func(r *record) { r.Init = identify(pid) }); err != nil {
		return "", err
	}
	if err := b.guest.wire.send(to, files...); err != nil {
		return "", b.guest.explainEnd(err)
	}
	return note, nil
}

// tmpfsBytes is the size of each of the agent's folders in memory. They are
// memory too, so that each gets a part of what the bottle may use.
func tmpfsBytes(limits plan.Limits) int64 {
	const most = 2 << 30
	if limits.MemoryBytes <= 0 {
		return most
	}
	return min(most, max(limits.MemoryBytes/4, 1))
}

// startBundle starts the bundle on the listeners, which came in the order of
// the sorted names.
func (b *bottle) startBundle(listeners []*os.File) error {
	names := sortedNames(portsOf(b.plan))
	if len(names) != len(listeners) {
		return fmt.Errorf("the bottle opened %d listeners instead of %d", len(listeners), len(names))
	}
	path, err := b.plan.State.Socket(healthSocket)
	if err != nil {
		return err
	}
	health, err := healthListener(path)
	if err != nil {
		return err
	}
	b.files = append(b.files, health)
	secrets, err := secretsFile(b.plan.Secrets)
	if err != nil {
		return err
	}
	b.files = append(b.files, secrets)
	log, err := openBundleLog(b.plan.State.BundleLog(), maxBundleLog)
	if err != nil {
		return err
	}
	b.files = append(b.files, log.file)

	program, err := bundleProgram(b.options.Sidecars, b.workspace)
	if err != nil {
		return err
	}
	if program.copy != nil {
		b.files = append(b.files, program.copy)
	}
	names = append(names, "health")
	b.bundle = &bundle{
		thread: b.thread, path: program.path, env: bundleEnv(b.plan, names, b.options.BundleEnv),
		files: append(slices.Concat(listeners, []*os.File{health}), secrets), log: log, health: path,
	}
	return b.bundle.start(func(pid int) {
		_ = b.keeper.update(func(r *record) { r.Bundle = identify(pid) })
	})
}

func (b *bottle) prove(ctx context.Context, targets containment.Targets) error {
	for _, role := range roles {
		if port, ok := portsOf(b.plan)[role]; ok {
			targets.Control = fmt.Sprintf("127.0.0.1:%d", port)
			break
		}
	}
	var report containment.Report
	for range proofs {
		var err error
		if report, err = b.guest.prove(ctx, targets); err != nil {
			return fmt.Errorf("prove containment: %w", err)
		}
		if len(report.Leaks) > 0 || report.Control == "" {
			break
		}
	}
	return report.Err()
}

// begin starts the agent's command and everything that follows its life.
func (b *bottle) begin(ctx context.Context, s backend.Stdio) error {
	c := b.command(b.plan.Command, s)
	session, streams, err := b.guest.run(ctx, c)
	if err != nil {
		return err
	}
	b.stage = newStage(s.Out)
	s.Out = b.stage
	b.terminal = s.Terminal
	b.pump = startPump(streams, s, func(number int) { b.guest.signal(session, number) })
	b.session = session
	if err := b.serveControl(); err != nil {
		return err
	}
	if err := b.keeper.update(func(r *record) { r.State = "running" }); err != nil {
		return err
	}
	go b.live()
	return nil
}
