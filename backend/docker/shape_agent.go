package docker

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/claude-bottle/claude-bottle/agentenv"
	"github.com/claude-bottle/claude-bottle/containment"
	"github.com/claude-bottle/claude-bottle/plan"
)

// agentShape is the agent's container, which opens its gate by itself when
// containment is proved.
func (s *start) agentShape() (Container, error) {
	options, err := s.agentOptions(true)
	if err != nil {
		return Container{}, err
	}
	targets, err := json.Marshal(s.targets(containment.Outside()))
	if err != nil {
		return Container{}, err
	}
	options.Config.Cmd = append([]string{"run-alone", string(targets), "--"}, s.plan.Command...)
	if options.HostConfig.SecurityOpt, err = s.keepProfile(options.HostConfig.SecurityOpt); err != nil {
		return Container{}, err
	}
	env, err := writeEnv(s.plan.State, hiddenEnv(s.plan.AgentEnv, s.plan.Supplied), s.user)
	if err != nil {
		return Container{}, err
	}
	mounts := []mount.Mount{
		{Type: mount.TypeVolume, Source: volumeInit, Target: initFolder, ReadOnly: true},
		bind(env, envInside, true),
		{Type: mount.TypeVolume, Source: volumeHome, Target: agentenv.Home},
	}
	files, err := s.keepFiles()
	if err != nil {
		return Container{}, err
	}
	options.HostConfig.Mounts = slices.Concat(mounts, files, options.HostConfig.Mounts)
	c := Container{Part: partAgent, ContainerCreateOptions: options, Needs: map[string]Need{partInstall: Ended}}
	for _, of := range s.layout.services() {
		c.Needs[of.part] = Healthy
	}
	return c, nil
}

// keepProfile puts a seccomp profile into a file, as compose wants it.
func (s *start) keepProfile(security []string) ([]string, error) {
	kept := slices.Clone(security)
	for i, option := range kept {
		if profile, ok := strings.CutPrefix(option, "seccomp="); ok {
			path, err := s.keep("seccomp.json", 0o600, []byte(profile))
			if err != nil {
				return nil, err
			}
			kept[i] = "seccomp=" + path
		}
	}
	return kept, nil
}

// keepFiles writes the files of the agent's world: those of its home to where
// install finds them, and mounts for the others.
func (s *start) keepFiles() ([]mount.Mount, error) {
	if err := os.MkdirAll(filepath.Join(s.plan.State.Run(), shapeFolder, volumeHome), 0o700); err != nil {
		return nil, err
	}
	files := slices.Clone(s.plan.AgentFiles)
	for name, content := range map[string]string{
		"/etc/passwd": fmt.Sprintf("root:x:0:0:root:/root:/bin/sh\nagent:x:%d:%d:agent:%s:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n", s.user.uid, s.user.gid, agentenv.Home),
		"/etc/group":  fmt.Sprintf("root:x:0:\nagent:x:%d:\nnogroup:x:65534:\n", s.user.gid),
	} {
		files = append(files, plan.File{Path: name, Mode: 0o644, Content: []byte(content)})
	}
	var mounts []mount.Mount
	for i, file := range files {
		if inHome, ok := strings.CutPrefix(file.Path, agentenv.Home+"/"); ok {
			if !filepath.IsLocal(inHome) {
				return nil, fmt.Errorf("write %s: the path leads out of the home", file.Path)
			}
			if _, err := s.keep(filepath.Join(volumeHome, inHome), os.FileMode(file.Mode), file.Content); err != nil {
				return nil, err
			}
			continue
		}
		path, err := s.keep(filepath.Join("files", strconv.Itoa(i)+"-"+filepath.Base(file.Path)), os.FileMode(file.Mode), file.Content)
		if err != nil {
			return nil, err
		}
		mounts = append(mounts, bind(path, file.Path, true))
	}
	slices.SortFunc(mounts, func(a, b mount.Mount) int { return strings.Compare(a.Target, b.Target) })
	return mounts, nil
}

// keep writes a file below the shape's folder.
func (s *start) keep(name string, mode os.FileMode, content []byte) (path string, err error) {
	path = filepath.Join(s.plan.State.Run(), shapeFolder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, content, mode)
}

// installShape is the container that furnishes the agent's before it starts.
func (s *start) installShape() Container {
	from := filepath.Join(s.plan.State.Run(), shapeFolder, volumeHome)
	return Container{Part: partInstall, ContainerCreateOptions: client.ContainerCreateOptions{
		Name: "claude-bottle-install-" + s.plan.Slug,
		Config: &container.Config{
			Image: s.backend.options.Image, User: "0:0",
			Entrypoint:  []string{initOutside},
			Cmd:         []string{"install", installFolder, installHome, furniture, strconv.Itoa(s.user.uid), strconv.Itoa(s.user.gid)},
			Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
			Labels:      ownLabels(s.backend.options.Home, s.plan.Slug, partInstall),
		},
		HostConfig: &container.HostConfig{
			NetworkMode:    "none",
			ReadonlyRootfs: true,
			CapDrop:        []string{"ALL"},
			CapAdd:         []string{"CHOWN", "DAC_OVERRIDE"},
			SecurityOpt:    []string{"no-new-privileges"},
			LogConfig:      logConfig,
			Mounts: []mount.Mount{
				{Type: mount.TypeVolume, Source: volumeInit, Target: installFolder},
				{Type: mount.TypeVolume, Source: volumeHome, Target: installHome},
				bind(from, furniture, true),
			},
		},
	}}
}
