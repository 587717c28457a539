package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/backend/namespace"
	"github.com/claude-bottle/claude-bottle/cmd/bottle/demo"
	"github.com/claude-bottle/claude-bottle/plan"
	"github.com/claude-bottle/claude-bottle/state"
)

func newDemo(a *app) *cobra.Command {
	var keep bool
	cmd := &cobra.Command{Use: "demo", Short: demoShort, Args: cobra.NoArgs}
	cmd.Flags().BoolVar(&keep, "keep", false, flagKeep)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		dir, err := os.MkdirTemp("", "claude-bottle-demo-")
		if err != nil {
			return err
		}
		if keep {
			defer sayKept(dir)
		} else {
			defer os.RemoveAll(dir)
		}
		return runDemo(ctx, dir)
	}
	cmd.AddCommand(newDemoCall())
	return cmd
}

func runDemo(ctx context.Context, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return demo.Run(ctx, dir, demo.Tools{
		Self:    self,
		StandIn: filepath.Join(filepath.Dir(self), "pipelock-standin"),
		Prepare: func(ctx context.Context, home state.Home, workspace string, command []string) (*plan.Plan, error) {
			return prepare(ctx, newChoice(home, namespace.Name), upFlags{bottle: "demo", workspace: workspace}, "", command, answers{})
		},
		Backend: func(ctx context.Context, home state.Home) (backend.Backend, error) {
			b, err := newChoice(home, namespace.Name).backend(ctx, "")
			if err != nil {
				return nil, err
			}
			return b, b.Available(ctx)
		},
	}, os.Stdout)
}

// newDemoCall is the demo agent's MCP client.
func newDemoCall() *cobra.Command {
	return &cobra.Command{
		Use:    "call TOOL ARGUMENTS",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			answer, err := demo.Call(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			fmt.Println(answer)
			return nil
		},
	}
}
