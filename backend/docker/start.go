package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/containment"
	"github.com/claude-bottle/claude-bottle/internal/commondir"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

// startPatience bounds a whole start, image builds aside.
const startPatience = 90 * time.Second

// start is a bottle on its way up.
type start struct {
	backend   *Backend
	api       *client.Client
	plan      *plan.Plan
	keeper    *keeper
	workspace string // real path
	user      user
	runtime   string // "" = the engine's default
	image     string // the agent's
	folders   folders
	secrets   string   // path
	held      *os.File // commondir.Hold's
	layout    layout

	agent, sealer string // container ids
	// filling puts the files into the agent's container, while other things are
	// made and started.
	filling  errgroup.Group
	attached client.HijackedResponse
	exited   client.ContainerWaitResult // of the agent
}

// Start implements backend.Backend. The plan's inputs must be written.
func (b *Backend) Start(ctx context.Context, p *plan.Plan, s backend.Stdio, progress func(step string)) (backend.Bottle, error) {
	if progress == nil {
		progress = func(string) {}
	}
	if err := state.CheckSlug(p.Slug); err != nil {
		return nil, err
	}
	if len(p.Command) == 0 {
		return nil, errors.New("the plan has no command")
	}
	own := *p
	own.State = b.options.Home.Dir(p.Slug) // with its whole path
	p = &own
	workspace, err := checkWorkspace(p.Workspace, b.options.Home)
	if err != nil {
		return nil, err
	}
	api, err := connect(ctx)
	if err != nil {
		return nil, err
	}
	k, err := claim(p)
	if err != nil {
		api.Close()
		return nil, err
	}
	st := &start{backend: b, api: api, plan: p, keeper: k, workspace: workspace, user: operator()}
	st.layout = layout{plan: p, split: b.options.Split, token: rand.Text(), extra: b.options.BundleEnv}
	bottle, err := st.run(ctx, s, progress)
	if err != nil {
		return nil, errors.Join(err, st.undo())
	}
	context.AfterFunc(ctx, bottle.stop)
	return bottle, nil
}

// letGo gives up what is held of the workspace.
func (s *start) letGo() {
	if s.held != nil {
		s.held.Close()
	}
}

// undo removes all that was made so far.
func (s *start) undo() error {
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	if s.attached.Conn != nil {
		s.attached.Close()
	}
	_ = s.filling.Wait()
	s.letGo()
	err := removeAll(ctx, s.backend.options.Home, s.plan.State, s.workspace)
	if err != nil {
		err = fmt.Errorf("not everything was removed again, see `bottle cleanup`: %w", err)
	}
	s.keeper.release()
	s.api.Close()
	return err
}

func (s *start) run(ctx context.Context, streams backend.Stdio, progress func(string)) (*bottle, error) {
	progress("looking at the engine")
	if err := s.look(ctx, progress); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, errors.New("starting took too long"))
	defer cancel()
	progress("making networks and containers")
	if err := s.make(ctx, streams.Terminal); err != nil {
		return nil, err
	}
	host, err := containment.NewHost() // now that the networks have their addresses on it
	if err != nil {
		return nil, err
	}
	defer host.Close()
	progress("starting the bundle")
	if err := s.startBoth(ctx, streams); err != nil {
		return nil, err
	}
	progress("proving containment")
	var proving errgroup.Group
	proving.Go(func() error { return s.prove(ctx, host.Targets) })
	proving.Go(func() error { return removeContainer(ctx, s.api, s.sealer) })
	if err := proving.Wait(); err != nil {
		return nil, err
	}
	return s.open(ctx, streams, progress)
}

// look finds out what there is before anything is made.
func (s *start) look(ctx context.Context, progress func(string)) error {
	if err := s.backend.checkImage(ctx, s.api); err != nil {
		return err
	}
	if slices.Contains(s.plan.Daemons, "pipelock") {
		digest, err := s.backend.pipelock(ctx, s.api)
		if err != nil {
			return err
		}
		if digest == "" {
			return fmt.Errorf("the bundle's image %s holds no pipelock; build it with \"make image PIPELOCK_BIN=path\", or set pipelock: off in the bottle file", s.backend.options.Image)
		}
	}
	info, err := s.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return err
	}
	if _, ok := info.Info.Runtimes[runsc]; ok {
		s.runtime = runsc
	}
	s.image, err = s.agentImage(ctx, progress)
	return err
}

// make makes everything and starts nothing.
func (s *start) make(ctx context.Context, terminal bool) error {
	if err := s.layOut(); err != nil {
		return err
	}
	taken, err := takenNetworks(ctx, s.api)
	if err != nil {
		return err
	}
	for {
		if s.layout.inner, err = taken.pick(innerNetwork(s.plan.Slug)); err != nil {
			return err
		}
		if s.layout.outer, err = taken.pick(outerNetwork(s.plan.Slug)); err != nil {
			return err
		}
		err := s.makeAt(ctx, terminal)
		if !errors.Is(err, errOverlap) {
			return err
		}
		// Somebody was quicker: all is made anew with other addresses.
		_ = s.filling.Wait()
		s.filling = errgroup.Group{}
		if err := removeMade(ctx, s.api, s.backend.options.Home, s.plan.Slug); err != nil {
			return err
		}
	}
}

// makeAt makes networks and containers for the layout's addresses at once:
// engines look for a container's networks when it starts.
func (s *start) makeAt(ctx context.Context, terminal bool) error {
	// What the engine was asked for is waited for, also when another thing
	// fails: it would be made all the same, when nobody looks any more.
	var making errgroup.Group
	making.Go(func() error { return s.makeInner(ctx) })
	making.Go(func() error { return s.makeOuter(ctx) })
	services := s.layout.services()
	for _, service := range services {
		making.Go(func() error { return s.createService(ctx, service) })
	}
	making.Go(func() error {
		var pair errgroup.Group
		pair.Go(func() (err error) {
			s.agent, err = s.createAgent(ctx, terminal)
			return err
		})
		pair.Go(func() (err error) {
			s.sealer, err = s.createSeal(ctx)
			return err
		})
		err := pair.Wait()
		if err == nil {
			s.filling.Go(func() error { return s.fillAgent(ctx) })
		}
		return err
	})
	if err := making.Wait(); err != nil {
		return err
	}
	var connecting errgroup.Group
	for _, service := range services {
		connecting.Go(func() error { return s.connectService(ctx, service) })
	}
	return connecting.Wait()
}

// layOut makes what the containers find of this machine.
func (s *start) layOut() error {
	resolv := filepath.Join(s.plan.State.In(), emptyResolv)
	if err := os.WriteFile(resolv, []byte("# Names are resolved by the proxy.\n"), 0o644); err != nil {
		return err
	}
	err := os.Mkdir(filepath.Join(s.plan.State.Out(), healthFolder), 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) { // of the same bottle before
		return err
	}
	if s.secrets, err = writeSecrets(s.plan.State, s.plan.Secrets, s.user); err != nil {
		return err
	}
	if err := s.copyUpstreamCA(); err != nil {
		return err
	}
	if s.held, err = commondir.Hold(s.workspace); err != nil {
		return err
	}
	s.folders, err = prepareFolders(s.plan, s.workspace, s.user, s.runtime == runsc)
	return err
}

// startBoth starts the bundle, and the agent's container, which stops at its
// gate, and seals the agent's network.
func (s *start) startBoth(ctx context.Context, streams backend.Stdio) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for _, service := range s.layout.services() {
		group.Go(func() error {
			name := service.container(s.plan.Slug)
			if _, err := s.api.ContainerStart(groupCtx, name, client.ContainerStartOptions{}); err != nil {
				return fmt.Errorf("start %s: %w", name, err)
			}
			return s.waitReady(groupCtx, service)
		})
	}
	group.Go(func() error {
		if err := s.filling.Wait(); err != nil {
			return err
		}
		attached, err := s.api.ContainerAttach(ctx, s.agent, client.ContainerAttachOptions{
			Stream: true, Stdin: true, Stdout: true, Stderr: true, DetachKeys: detachKeys,
		})
		if err != nil {
			return fmt.Errorf("attach to the agent: %w", err)
		}
		s.attached = attached.HijackedResponse
		// It outlives the start.
		s.exited = s.api.ContainerWait(context.WithoutCancel(ctx), s.agent, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
		if _, err := s.api.ContainerStart(groupCtx, s.agent, client.ContainerStartOptions{}); err != nil {
			return fmt.Errorf("start the agent's container: %w", err)
		}
		return s.seal(groupCtx)
	})
	return group.Wait()
}

// open opens the gate: from here on the agent's command runs.
func (s *start) open(ctx context.Context, streams backend.Stdio, progress func(string)) (*bottle, error) {
	b := newBottle(s, progress)
	if streams.Terminal {
		select {
		case size := <-streams.Resize:
			b.resize(size)
		default:
		}
	}
	b.pump = startPump(s.attached, streams, b.resize, func(sig os.Signal) {
		_ = sendSignal(context.Background(), s.api, s.agent, sig)
	})
	if err := sendSignal(ctx, s.api, s.agent, gateSignal); err != nil {
		return nil, fmt.Errorf("start the agent's command: %w", err)
	}
	if err := s.keeper.update("running"); err != nil {
		return nil, err
	}
	go b.live(s.exited)
	return b, nil
}
