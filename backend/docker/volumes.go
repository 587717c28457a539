package docker

import (
	"context"
	"errors"
	"fmt"

	"github.com/moby/moby/client"

	"github.com/claude-bottle/claude-bottle/state"
)

// orphanVolume is a kind of orphan: only bottles that compose started have
// volumes.
const orphanVolume = "volume"

// findVolumes tells the volumes of the bottles that the filters let through.
func findVolumes(ctx context.Context, api *client.Client, filters client.Filters, found func(slug, name string)) error {
	volumes, err := api.VolumeList(ctx, client.VolumeListOptions{Filters: filters})
	if err != nil {
		return fmt.Errorf("list volumes: %w", err)
	}
	for _, v := range volumes.Items {
		if slug := v.Labels[labelSlug]; state.CheckSlug(slug) == nil {
			found(slug, v.Name)
		}
	}
	return nil
}

func removeVolumes(ctx context.Context, api *client.Client, names []string) error {
	var failed []error
	for _, name := range names {
		_, err := api.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
		failed = append(failed, gone(err))
	}
	return errors.Join(failed...)
}
