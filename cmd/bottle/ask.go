package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// ask asks for a value, which is not shown while it is typed.
func ask(ctx context.Context, question string) (string, error) {
	if !onTerminal() {
		return "", errNotATerminal(question)
	}
	prompt("%s: ", question)
	answer, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(os.Stderr)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(answer)), ctx.Err()
}

// confirm asks a yes-or-no question; without a terminal it is an error.
func confirm(ctx context.Context, question string) (bool, error) {
	if !onTerminal() {
		return false, errNotATerminal(question)
	}
	prompt("%s [y/N] ", question)
	var answer string
	if _, err := fmt.Fscanln(os.Stdin, &answer); err != nil {
		return false, nil
	}
	return answer == "y" || answer == "Y" || answer == "yes", ctx.Err()
}
