package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// oldestAPI is Docker 20.10's, the oldest engine that is served; isolatedAPI
// is that of the first one that can keep a bridge without an address itself.
const (
	oldestAPI   = "1.41"
	isolatedAPI = "1.48"
)

// Available implements backend.Backend.
func (b *Backend) Available(ctx context.Context) error {
	api, err := connect(ctx)
	if err != nil {
		return err
	}
	defer api.Close()
	return b.checkImage(ctx, api)
}

// readyPatience bounds how long a start waits for an engine that nobody named.
const readyPatience = 2 * time.Second

// Ready reports whether an engine answers and holds the images of the bundle
// and of agents that name none: whether a bottle can be put there that does not
// say where it wants to be.
func (b *Backend) Ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	api, err := connect(ctx)
	if err != nil {
		return false
	}
	defer api.Close()
	if b.checkImage(ctx, api) != nil {
		return false
	}
	_, err = api.ImageInspect(ctx, b.options.AgentImage)
	return err == nil
}

// connect returns a client of an engine that is new enough.
func connect(ctx context.Context) (*client.Client, error) {
	api, err := client.New(client.FromEnv)
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	pong, err := api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	if err == nil {
		err = checkEngine(pong)
	} else {
		err = explainPing(api.DaemonHost(), err)
	}
	if err != nil {
		api.Close()
		return nil, err
	}
	return api, nil
}

func checkEngine(pong client.PingResult) error {
	if !atLeast(pong.APIVersion, oldestAPI) {
		return fmt.Errorf("the Docker engine is too old: it speaks API %s, and bottles need %s (Docker 20.10); install a newer one", pong.APIVersion, oldestAPI)
	}
	if pong.OSType != "" && pong.OSType != "linux" {
		return fmt.Errorf("the Docker engine runs %s containers; bottles need one that runs linux containers", pong.OSType)
	}
	return nil
}

func explainPing(host string, err error) error {
	switch {
	case errors.Is(err, os.ErrPermission) || strings.Contains(err.Error(), "permission denied"):
		return fmt.Errorf("the Docker engine at %s lets this user not in; add the user to the group docker, or use the namespace backend: %w", host, err)
	case client.IsErrConnectionFailed(err) || errdefs.IsUnavailable(err):
		return fmt.Errorf("no Docker engine answers at %s; start it (sudo systemctl start docker), set DOCKER_HOST, or use the namespace backend: %w", host, err)
	}
	return fmt.Errorf("the Docker engine at %s: %w", host, err)
}

// atLeast compares API versions, MAJOR.MINOR.
func atLeast(version, least string) bool {
	number := func(text string) (major, minor int) {
		before, after, _ := strings.Cut(text, ".")
		major, _ = strconv.Atoi(before)
		minor, _ = strconv.Atoi(after)
		return major, minor
	}
	major, minor := number(version)
	leastMajor, leastMinor := number(least)
	return major > leastMajor || major == leastMajor && minor >= leastMinor
}

// checkImage makes sure that the bundle's image is there and is one.
func (b *Backend) checkImage(ctx context.Context, api *client.Client) error {
	image, err := api.ImageInspect(ctx, b.options.Image)
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("the bundle's image %s is not on this engine; build it with \"make image\", or name another one with CLAUDE_BOTTLE_SIDECAR_IMAGE", b.options.Image)
	}
	if err != nil {
		return fmt.Errorf("the bundle's image %s: %w", b.options.Image, err)
	}
	if image.Config == nil || image.Config.Labels["claude-bottle.image"] != "sidecars" {
		return fmt.Errorf("%s is not a bundle's image; build one with \"make image\"", b.options.Image)
	}
	return nil
}

// Pipelock is the digest of the firewall that the bundle's image holds and
// accepts; empty = it holds none.
func (b *Backend) Pipelock(ctx context.Context) (string, error) {
	api, err := connect(ctx)
	if err != nil {
		return "", err
	}
	defer api.Close()
	if err := b.checkImage(ctx, api); err != nil {
		return "", err
	}
	return b.pipelock(ctx, api)
}

func (b *Backend) pipelock(ctx context.Context, api *client.Client) (string, error) {
	image, err := api.ImageInspect(ctx, b.options.Image)
	if err != nil {
		return "", err
	}
	if digest := image.Config.Labels["claude-bottle.pipelock.sha256"]; len(digest) == 64 {
		return digest, nil
	}
	return "", nil
}

// gone takes what is not there, or is being removed already, for done.
func gone(err error) error {
	if err == nil || errdefs.IsNotFound(err) || strings.Contains(err.Error(), "is already in progress") {
		return nil
	}
	return err
}
