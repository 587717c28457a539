package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/health"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/state"
)

// bottleInfo is what `bottle info` shows.
type bottleInfo struct {
	backend.Status
	Health json.RawMessage `json:"health"`
	Routes []string        `json:"routes"`
	Grants []control.Grant `json:"grants"`
	State  string          `json:"state_folder"`
	Audit  string          `json:"audit_log"`
}

func newInfo(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "info SLUG", Short: infoShort, Args: cobra.ExactArgs(1)}
	a.jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		home, err := a.dir()
		if err != nil {
			return err
		}
		bottle, status, err := a.open(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		dir := home.Dir(args[0])
		info := bottleInfo{Status: status, State: string(dir), Audit: dir.Audit()}
		if info.Health, err = bottle.Health(cmd.Context()); err != nil {
			return err
		}
		if info.Routes, err = liveHosts(cmd.Context(), bottle, dir); err != nil {
			sayError(err) // the rest is worth knowing all the more
		}
		if info.Grants, err = control.For(bottle, control.Options{Home: home, Slug: args[0]}).Grants(cmd.Context()); err != nil {
			sayError(explainChange(err))
		}
		if a.json {
			return printJSON(info)
		}
		return printInfo(info)
	}
	return cmd
}

func liveHosts(ctx context.Context, bottle backend.Bottle, dir state.Dir) ([]string, error) {
	file, err := bottle.ReadFile(ctx, filepath.Base(dir.Routes()))
	if err != nil {
		return nil, err
	}
	table, err := routes.Parse(file)
	if err != nil {
		return nil, err
	}
	return table.Hosts(), nil
}

func printInfo(info bottleInfo) error {
	var report health.Report
	if err := json.Unmarshal(info.Health, &report); err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "slug\t%s\n", info.Slug)
	fmt.Fprintf(w, "agent\t%s\n", info.Agent)
	fmt.Fprintf(w, "backend\t%s\n", info.Backend)
	fmt.Fprintf(w, "state\t%s since %s\n", info.Status.State, info.Since)
	var names []string
	for name := range report.Roles {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		role := report.Roles[name]
		fmt.Fprintf(w, "role %s\t%s, restarts %d", name, role.State, role.Restarts)
		if role.Generation > 0 { // it has a configuration of its own
			fmt.Fprintf(w, ", configuration %d", role.Generation)
		}
		fmt.Fprintln(w)
		if role.LastError != "" {
			fmt.Fprintf(w, "\tlast error: %q\n", role.LastError)
		}
	}
	for _, host := range info.Routes {
		fmt.Fprintf(w, "route\t%s\n", host)
	}
	for _, g := range info.Grants {
		fmt.Fprintf(w, "grant %s\t%s, %s\n", g.ID, g.Rule, grantLeft(g, time.Now()))
	}
	fmt.Fprintf(w, "folder\t%s\n", info.State)
	fmt.Fprintf(w, "audit log\t%s\n", info.Audit)
	return w.Flush()
}
