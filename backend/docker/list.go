package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/internal/commondir"
	"github.com/claude-bottle/claude-bottle/state"
)

// The kinds of orphan, in the order in which they can be removed.
const (
	orphanContainer = "container"
	orphanNetwork   = "network"
	orphanState     = "state"
)

// remains are what there is of a bottle.
type remains struct {
	agent      string // the bottle file's agent
	containers map[string]container.Summary
	networks   map[string]string // names by id
	volumes    []string
	since      time.Time
}

func (r remains) runs(part string) bool {
	c, ok := r.containers[part]
	return ok && (c.State == container.StateRunning || c.State == container.StateRestarting || c.State == container.StatePaused)
}

func (r remains) agentRuns() bool { return r.runs(partAgent) }

// bundleRuns tells whether every container of the bundle does.
func (r remains) bundleRuns() bool {
	some := false
	for part := range r.containers {
		if !isService(part) {
			continue
		}
		if some = r.runs(part); !some {
			return false
		}
	}
	return some
}

// find finds what the engine has of this home's bottles, or of one.
func (b *Backend) find(ctx context.Context, api *client.Client, slug string) (map[string]remains, error) {
	filters := client.Filters{}.Add("label", labelHome+"="+string(b.options.Home))
	if slug != "" {
		filters = filters.Add("label", labelSlug+"="+slug)
	}
	containers, err := api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	networks, err := api.NetworkList(ctx, client.NetworkListOptions{Filters: filters})
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	found := make(map[string]remains)
	of := func(slug string) remains {
		if r, ok := found[slug]; ok {
			return r
		}
		return remains{containers: map[string]container.Summary{}, networks: map[string]string{}}
	}
	for _, c := range containers.Items {
		slug := c.Labels[labelSlug]
		if state.CheckSlug(slug) != nil || c.Labels[labelPart] == "" {
			continue
		}
		r := of(slug)
		r.containers[c.Labels[labelPart]] = c
		if agent := c.Labels[labelAgent]; agent != "" {
			r.agent = agent
		}
		if since := time.Unix(c.Created, 0).UTC(); r.since.IsZero() || since.Before(r.since) {
			r.since = since
		}
		found[slug] = r
	}
	for _, n := range networks.Items {
		slug := n.Labels[labelSlug]
		if state.CheckSlug(slug) != nil {
			continue
		}
		r := of(slug)
		r.networks[n.ID] = n.Name
		found[slug] = r
	}
	err = findVolumes(ctx, api, filters, func(slug, name string) {
		r := of(slug)
		r.volumes = append(r.volumes, name)
		found[slug] = r
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// records are those of all bottles that have one.
func (b *Backend) records() (map[string]record, error) {
	slugs, err := b.options.Home.Slugs()
	if err != nil {
		return nil, err
	}
	all := make(map[string]record)
	for _, slug := range slugs {
		r, err := readRecord(b.options.Home.Dir(slug))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			r = record{Slug: slug} // damaged: cleanup removes it
		}
		all[slug] = r
	}
	return all, nil
}

// List implements backend.Backend. Where no engine answers, nobody knows of the
// bottles that were not removed: an engine may let its containers live.
func (b *Backend) List(ctx context.Context) ([]backend.Status, error) {
	records, err := b.records()
	if err != nil {
		return nil, err
	}
	found := map[string]remains{}
	api, lost := connect(ctx)
	if lost == nil {
		defer api.Close()
		if found, err = b.find(ctx, api, ""); err != nil {
			return nil, err
		}
	}
	slugs := slices.Collect(maps.Keys(records))
	for slug := range found {
		if _, ok := records[slug]; !ok {
			slugs = append(slugs, slug)
		}
	}
	slices.Sort(slugs)
	var list []backend.Status
	for _, slug := range slugs {
		status := b.status(slug, records[slug], found[slug])
		if lost != nil && status.State == "dead" {
			status.State = "unknown"
		}
		list = append(list, status)
	}
	return list, nil
}

func (b *Backend) status(slug string, r record, f remains) backend.Status {
	s := backend.Status{Slug: slug, Backend: Name, Agent: r.Agent, State: "dead"}
	since := r.Since
	if since.IsZero() {
		since = f.since
	}
	if s.Agent == "" {
		s.Agent = f.agent
	}
	if !since.IsZero() {
		s.Since = since.Format(time.RFC3339)
	}
	switch {
	case r.State == "starting" && hasUp(b.options.Home.Dir(slug)):
		s.State = "starting"
	case f.agentRuns() && f.bundleRuns() && r.State != "starting":
		s.State = "running"
	}
	return s
}

// Orphans implements backend.Backend.
func (b *Backend) Orphans(ctx context.Context) ([]backend.Orphan, error) {
	records, err := b.records()
	if err != nil {
		return nil, err
	}
	found := map[string]remains{}
	api, err := connect(ctx)
	if err == nil {
		defer api.Close()
		found, err = b.find(ctx, api, "")
	} else if len(records) == 0 {
		return nil, nil // there is no engine, and there never was a bottle on one
	}
	if err != nil {
		return nil, err
	}
	for slug := range records {
		if _, ok := found[slug]; !ok {
			found[slug] = remains{}
		}
	}
	var orphans []backend.Orphan
	for _, slug := range slices.Sorted(maps.Keys(found)) {
		f := found[slug]
		if b.isLive(slug, records[slug], f) {
			continue
		}
		add := func(kind, name string) {
			orphans = append(orphans, backend.Orphan{Slug: slug, Kind: kind, Name: name})
		}
		for _, part := range slices.Sorted(maps.Keys(f.containers)) {
			add(orphanContainer, containerName(f.containers[part]))
		}
		for _, name := range slices.Sorted(maps.Values(f.networks)) {
			add(orphanNetwork, name)
		}
		for _, name := range slices.Sorted(slices.Values(f.volumes)) {
			add(orphanVolume, name)
		}
		if _, ok := records[slug]; ok {
			add(orphanState, b.options.Home.Dir(slug).Run())
		}
	}
	return orphans, nil
}

// isLive tells whether somebody still cares for the bottle, or it runs.
func (b *Backend) isLive(slug string, r record, f remains) bool {
	return hasUp(b.options.Home.Dir(slug)) || b.status(slug, r, f).State != "dead"
}

func containerName(c container.Summary) string {
	if len(c.Names) == 0 {
		return c.ID
	}
	return strings.TrimPrefix(c.Names[0], "/")
}

// Remove implements backend.Backend. It refuses what a live bottle owns, and
// what is not one of this home's bottles.
func (b *Backend) Remove(ctx context.Context, o backend.Orphan) error {
	if err := state.CheckSlug(o.Slug); err != nil {
		return err
	}
	dir := b.options.Home.Dir(o.Slug)
	api, err := connect(ctx)
	if err != nil {
		return err
	}
	defer api.Close()
	found, err := b.find(ctx, api, o.Slug)
	if err != nil {
		return err
	}
	r, err := readRecord(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r = record{Slug: o.Slug}
	}
	f := found[o.Slug]
	if b.isLive(o.Slug, r, f) {
		return fmt.Errorf("bottle %s is running; `bottle down %s` ends it", o.Slug, o.Slug)
	}
	switch o.Kind {
	case orphanContainer:
		for _, c := range f.containers {
			if containerName(c) == o.Name {
				return removeContainer(ctx, api, c.ID)
			}
		}
		return nil // it is gone
	case orphanNetwork:
		for id, name := range f.networks {
			if name == o.Name {
				_, err := api.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
				return gone(err)
			}
		}
		return nil
	case orphanVolume:
		if !slices.Contains(f.volumes, o.Name) {
			return nil
		}
		return removeVolumes(ctx, api, []string{o.Name})
	case orphanState:
		return removeLocal(b.options.Home, dir, r.Workspace)
	}
	return fmt.Errorf("%q is not something that this backend makes", o.Kind)
}

func removeContainer(ctx context.Context, api *client.Client, id string) error {
	_, err := api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	return gone(err)
}

// removeLocal removes what a bottle left on this machine outside the engine.
// The rest of its folder stays: it holds what the bundle wrote down.
func removeLocal(home state.Home, dir state.Dir, workspace string) error {
	if workspace != "" && !isShared(home, dir.Slug(), workspace) {
		_ = commondir.Remove(workspace) // what stays changes nothing
	}
	return errors.Join(removeFolders(dir), removeSecrets(dir), removeRecord(dir))
}

// isShared tells whether another bottle has the same workspace. Its containers
// may have outlived everybody who could hold something in it.
func isShared(home state.Home, slug, workspace string) bool {
	mine, err := os.Stat(workspace)
	if err != nil {
		return false
	}
	slugs, err := home.Slugs()
	if err != nil {
		return true
	}
	for _, other := range slugs {
		if other == slug {
			continue
		}
		r, err := readRecord(home.Dir(other))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if theirs, statErr := os.Stat(r.Workspace); err != nil || statErr == nil && os.SameFile(mine, theirs) {
			return true
		}
	}
	return false
}

// removeAll ends and removes all there is of a bottle. What it left
// on this machine is removed when the engine has nothing more of it.
//
// It comes to the engine anew. One that is being stopped lets nobody in, but
// goes on serving who is inside, and ends in the middle of what it was asked
// for: Docker 20.10 never starts again with a network that was half removed.
func removeAll(ctx context.Context, home state.Home, dir state.Dir, workspace string) error {
	api, err := connect(ctx)
	if err != nil {
		return err
	}
	defer api.Close()
	if err := removeMade(ctx, api, home, dir.Slug()); err != nil {
		return err
	}
	if _, err := os.Stat(string(dir)); err != nil {
		return nil
	}
	return removeLocal(home, dir, workspace)
}

// removeMade removes what the engine has of a bottle.
func removeMade(ctx context.Context, api *client.Client, home state.Home, slug string) error {
	b := &Backend{options: Options{Home: home}}
	found, err := b.find(ctx, api, slug)
	if err != nil {
		return err
	}
	f := found[slug]
	var containers, networks errgroup.Group
	for part, c := range f.containers {
		containers.Go(func() error {
			if !isService(part) { // an agent that still runs is killed
				return removeContainer(ctx, api, c.ID)
			}
			return errors.Join(stopContainer(ctx, api, c.ID, bundleGrace), removeContainer(ctx, api, c.ID))
		})
	}
	failed := []error{containers.Wait()}
	for id := range f.networks {
		networks.Go(func() error {
			_, err := api.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
			return gone(err)
		})
	}
	failed = append(failed, networks.Wait(), removeVolumes(ctx, api, f.volumes))
	return errors.Join(failed...)
}
