// Command bottle is the operator's program: it starts bottles, shows them and
// ends them.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/claude-bottle/claude-bottle/backend"
	"github.com/claude-bottle/claude-bottle/backend/namespace"
)

func main() {
	namespace.Main() // does not return inside a bottle
	keepPipesHere()
	os.Exit(run())
}

func run() int {
	err := newRoot().ExecuteContext(context.Background())
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	default:
		sayError(errMistyped(err))
		if command, ok := errors.AsType[*backend.CommandError](err); ok {
			return command.Code
		}
		return 1
	}
}
