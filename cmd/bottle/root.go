package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/state"
)

// version is set at build time.
var version = "devel"

// exitCode ends the program with a command's own code, without a message.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// app is what every command shares.
type app struct {
	home string // flag
	json bool   // flag
}

func newRoot() *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use:           "bottle",
		Short:         rootShort,
		Long:          rootLong,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(errUsage)
	root.PersistentFlags().StringVar(&a.home, "home", "", flagHome)
	root.PersistentPreRun = a.finishOthers
	root.AddCommand(
		newUp(a), newResume(a), newDown(a), newLs(a), newExec(a), newAttach(a), newLogs(a), newInfo(a),
		newInit(a), newDoctor(a), newCleanup(a), newDemo(a), newRender(a),
		newProposals(a), newAllow(a), newDeny(a), newRoutes(a), newRevoke(a),
		newSupervise(a),
		newAudit(a),
	)
	for _, cmd := range root.Commands() {
		explainArgs(cmd)
	}
	return root
}

// explainArgs makes a wrong number of arguments say where the usage stands.
func explainArgs(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		explainArgs(sub)
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return errUsage(cmd, check(cmd, args)) }
	}
}

// dir is the operator's home folder of bottles.
func (a *app) dir() (state.Home, error) {
	if a.home != "" {
		return state.Home(a.home), nil
	}
	return state.Locate()
}

// jsonFlag gives a command --json.
func (a *app) jsonFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.json, "json", false, flagJSON)
}

func printJSON(v any) error {
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
