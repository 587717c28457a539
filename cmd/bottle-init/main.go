//go:build linux

// Command bottle-init is what runs in an agent's container before the agent:
// its first process, which starts the agent's command only when it is told
// that the bottle is closed, and the steps that close it and show it. It is
// static, so that it runs in any image, and none of the image's own programs
// runs before the agent's command.
package main

import (
	"fmt"
	"os"
	"strings"
)

func main() {
	if len(os.Args) < 2 {
		fail(usage)
	}
	args := os.Args[2:]
	switch os.Args[1] {
	case "run":
		os.Exit(run(command(args), waitAtGate))
	case "run-alone":
		if len(args) < 1 {
			fail(usage)
		}
		os.Exit(runAlone(args[0], command(args[1:])))
	case "exec":
		if len(args) < 1 {
			fail(usage)
		}
		os.Exit(runFurther(command(args[1:])))
	case "signal":
		if err := signalFurther(args); err != nil {
			fail(err.Error())
		}
	case "prove":
		os.Exit(prove(args))
	case "install":
		if err := install(args); err != nil {
			fail(err.Error())
		}
	case "seal":
		if err := seal(args); err != nil {
			fail(err.Error())
		}
	case "seal-wire":
		if err := sealWire(args); err != nil {
			fail(err.Error())
		}
	default:
		fail(usage)
	}
}

const usage = "usage: bottle-init run -- COMMAND..., run-alone TARGETS -- COMMAND..., install FOLDER HOME FILES UID GID, exec TOKEN -- COMMAND..., prove TARGETS -- COMMAND..., seal ADDRESS:PORT..., seal-wire ADDRESS:PORT..., signal TOKEN NUMBER"

// command is what follows the "--".
func command(args []string) []string {
	if len(args) < 2 || args[0] != "--" {
		fail(usage)
	}
	return args[1:]
}

func fail(text string) {
	fmt.Fprintln(os.Stderr, "bottle-init: "+strings.TrimSpace(text))
	os.Exit(125)
}
