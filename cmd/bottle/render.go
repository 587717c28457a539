package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/backend/docker"
	"github.com/claude-bottle/claude-bottle/backend/docker/compose"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

func newRender(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "render", Short: renderShort, Args: cobra.NoArgs}
	cmd.AddCommand(newRenderCompose(a))
	return cmd
}

func newRenderCompose(a *app) *cobra.Command {
	var f upFlags
	var output string
	cmd := &cobra.Command{
		Use: "compose [AGENT] [-- COMMAND...]", Short: renderComposeShort, Long: renderComposeLong, Example: renderComposeExample, Args: oneAgent,
	}
	f.which(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", flagOutput)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		agents, command := splitAtDash(cmd, args)
		return a.renderCompose(cmd.Context(), f, strings.Join(agents, ""), command, output)
	}
	return cmd
}

func (a *app) renderCompose(ctx context.Context, f upFlags, agent string, command []string, output string) error {
	home, err := a.dir()
	if err != nil {
		return err
	}
	options, err := dockerOptions(home)
	if err != nil {
		return err
	}
	b := docker.New(options).(*docker.Backend)
	workspace, err := filepath.Abs(f.workspace)
	if err != nil {
		return err
	}
	p, err := preparePlan(ctx, answers{}, plan.Options{
		Home: home, Workspace: workspace, Agent: agent, Bottle: f.bottle, Label: f.label, Command: command,
		OwnPipelock: func(string) (string, bool, error) {
			digest, err := b.Pipelock(ctx)
			if err != nil {
				sayNoEngine(err)
			}
			return digest, err == nil, nil
		},
	})
	if err != nil {
		return explain(err)
	}
	if err := p.Write(home); err != nil {
		return explain(err)
	}
	content, err := layOut(home, b, p)
	if err == nil {
		err = writeOutput(output, content)
	}
	if err != nil {
		return errors.Join(err, forget(b, p))
	}
	sayPreflight(p, b.Name())
	sayRendered(p.Slug, output)
	return nil
}

// layOut records the bottle first, as the bundle's audit log names that record.
func layOut(home state.Home, b *docker.Backend, p *plan.Plan) ([]byte, error) {
	if err := recordRender(home, p); err != nil {
		return nil, err
	}
	shape, err := b.Shape(p)
	if err != nil {
		return nil, err
	}
	return compose.Render(shape)
}

// forget removes what was laid out for a bottle that nobody can start.
func forget(b *docker.Backend, p *plan.Plan) error {
	return errors.Join(b.Forget(p), p.State.Remove())
}

// writeOutput writes to a file, or to stdout when it has no name.
func writeOutput(name string, content []byte) error {
	if name == "" || name == "-" {
		_, err := os.Stdout.Write(content)
		return err
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		return fmt.Errorf("write the compose file: %w", err)
	}
	return nil
}
