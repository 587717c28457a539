package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
)

func newAllow(a *app) *cobra.Command {
	var edit bool
	cmd := &cobra.Command{Use: "allow SLUG [HOST...]", Short: allowShort, Long: allowLong, Args: cobra.MinimumNArgs(1)}
	a.jsonFlag(cmd)
	cmd.Flags().BoolVar(&edit, "edit", false, flagEditHosts)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		slug, hosts := args[0], args[1:]
		o, err := a.operator(cmd.Context(), slug)
		switch {
		case err != nil:
			return err
		case edit && len(hosts) > 0:
			return errEditOrHosts
		case edit:
			return a.editHosts(cmd.Context(), slug, o)
		case len(hosts) == 0:
			return a.printHosts(cmd.Context(), o)
		}
		return a.change(cmd.Context(), slug, func(ctx context.Context) (control.Outcome, error) { return o.Allow(ctx, hosts...) })
	}
	return cmd
}

func newDeny(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "deny SLUG HOST...", Short: denyShort, Long: denyLong, Args: cobra.MinimumNArgs(2)}
	a.jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := a.operator(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return a.change(cmd.Context(), args[0], func(ctx context.Context) (control.Outcome, error) { return o.Deny(ctx, args[1:]...) })
	}
	return cmd
}

// change makes a change that Ctrl-C takes back, and prints what it did.
func (a *app) change(ctx context.Context, slug string, act func(context.Context) (control.Outcome, error)) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	out, err := act(ctx)
	if err != nil {
		return explainChange(err)
	}
	return a.printOutcome(slug, out)
}

func (a *app) printHosts(ctx context.Context, o *control.Operator) error {
	hosts, err := o.Hosts(ctx)
	if err != nil {
		return explainChange(err)
	}
	if a.json {
		return printJSON(hosts)
	}
	for _, host := range hosts {
		fmt.Println(host)
	}
	return nil
}

func (a *app) editHosts(ctx context.Context, slug string, o *control.Operator) error {
	before, err := o.Hosts(ctx)
	if err != nil {
		return explainChange(err)
	}
	text := bytes.NewBufferString(hostsHead(slug))
	for _, host := range before {
		fmt.Fprintln(text, host)
	}
	var wanted []string
	edited, err := editText(ctx, "hosts.txt", text.Bytes(), func(edited []byte) (err error) {
		wanted, err = routes.ParseHostList(edited)
		return err
	})
	switch {
	case edited == nil || err != nil:
		return err
	case len(wanted) == 0:
		say("%s", nothingEdited)
		return nil
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	out, err := o.EditHosts(ctx, before, edited)
	if err != nil {
		return keepEdited("hosts.txt", edited, explainChange(err))
	}
	return a.printOutcome(slug, out)
}

func newRevoke(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "revoke SLUG GRANT", Short: revokeShort, Long: revokeLong, Args: cobra.ExactArgs(2)}
	a.jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := a.operator(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return a.change(cmd.Context(), args[0], func(ctx context.Context) (control.Outcome, error) { return o.Revoke(ctx, args[1]) })
	}
	return cmd
}
