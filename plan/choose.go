package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/claude-bottle/claude-bottle/manifest"
)

// RepositoryBottleError says that an agent file of the working folder asks for
// a bottle, and that the operator did not choose it.
type RepositoryBottleError struct {
	Agent, Path, Bottle string
}

func (e *RepositoryBottleError) Error() string {
	return fmt.Sprintf("the agent file %s comes with the working folder and asks for the bottle %q; choose it yourself: bottle up --bottle %s %s", e.Path, e.Bottle, e.Bottle, e.Agent)
}

// DefaultBottle is the bottle file used when nothing names one. Without any
// bottle file it is a bottle that reaches nothing.
const DefaultBottle = "default"

// choose finds the agent and its bottle. An agent that is only a bottle file's
// name is that bottle with an empty agent.
func choose(ctx context.Context, o Options) (*manifest.Agent, *manifest.Bottle, error) {
	agent, err := findAgent(o)
	if err != nil {
		return nil, nil, err
	}
	name := o.Bottle
	switch {
	case name != "":
	case agent.Repository && agent.Bottle != "":
		if err := confirmBottle(ctx, o, agent); err != nil {
			return nil, nil, err
		}
		name = agent.Bottle
	case agent.Bottle != "":
		name = agent.Bottle
	default:
		if name, err = fallback(o); err != nil {
			return nil, nil, err
		}
	}
	bottle, err := loadBottle(o, name)
	if err != nil {
		return nil, nil, err
	}
	if agent.Name == "" {
		agent.Name = bottle.Name
	}
	return agent, bottle, nil
}

// findAgent looks among the home folder's agent files, then its bottle files,
// then the working folder's agent files.
func findAgent(o Options) (*manifest.Agent, error) {
	if o.Agent == "" {
		return &manifest.Agent{}, nil
	}
	agent, err := manifest.LoadAgent(o.Home, o.Workspace, o.Agent)
	if err == nil && !agent.Repository {
		return agent, nil
	}
	var missing *manifest.NotFoundError
	if err != nil && !errors.As(err, &missing) && (agent == nil || !agent.Repository) {
		return nil, err
	}
	bottles, listErr := manifest.Bottles(o.Home)
	if listErr != nil {
		return nil, listErr
	}
	if slices.Contains(bottles, o.Agent) {
		return &manifest.Agent{Name: o.Agent, Bottle: o.Agent}, nil
	}
	if missing != nil {
		missing.Kind, missing.Folder = "agent or bottle", string(o.Home)
		missing.Known = append(missing.Known, bottles...)
	}
	return agent, err
}

func confirmBottle(ctx context.Context, o Options, agent *manifest.Agent) error {
	refusal := &RepositoryBottleError{Agent: agent.Name, Path: agent.Path, Bottle: agent.Bottle}
	if o.Confirm == nil {
		return refusal
	}
	yes, err := o.Confirm(ctx, fmt.Sprintf("the agent file %s comes with the working folder and asks for the bottle %q. Use it?", agent.Path, agent.Bottle))
	if err != nil {
		return errors.Join(refusal, err)
	}
	if !yes {
		return refusal
	}
	return nil
}

// fallback is the bottle when nothing names one: the default one, or the only
// one.
func fallback(o Options) (string, error) {
	names, err := manifest.Bottles(o.Home)
	if err != nil {
		return "", err
	}
	switch {
	case len(names) == 0 || slices.Contains(names, DefaultBottle):
		return DefaultBottle, nil
	case len(names) == 1:
		return names[0], nil
	}
	return "", fmt.Errorf("which bottle? Name one with --bottle, or call one %s.md; there are %s", DefaultBottle, strings.Join(names, ", "))
}

func loadBottle(o Options, name string) (*manifest.Bottle, error) {
	bottle, err := manifest.LoadBottle(o.Home, name)
	var missing *manifest.NotFoundError
	if errors.As(err, &missing) && name == DefaultBottle && len(missing.Known) == 0 && missing.Name == name {
		return manifest.Default(name), nil
	}
	return bottle, err
}
