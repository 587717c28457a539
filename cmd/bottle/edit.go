package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
)

// editText lets the operator edit a text in $VISUAL or $EDITOR. It returns nil
// when the text came back empty or as it was. What check refuses can be edited
// again at a terminal; else it is an error, and the text stays where the error
// says.
//
// The editor runs in the folder of the text, which is private: in the current
// folder, which may be an agent's workspace, editors find files that they obey.
func editText(ctx context.Context, name string, initial []byte, check func([]byte) error) (edited []byte, err error) {
	dir, err := os.MkdirTemp("", "bottle-edit-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, initial, 0o600); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	for {
		if err := runEditor(ctx, dir, path); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		if edited, err = os.ReadFile(path); err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(edited)) == 0 || bytes.Equal(edited, initial) {
			say("%s", nothingEdited)
			return nil, os.RemoveAll(dir)
		}
		wrong := check(edited)
		if wrong == nil {
			return edited, os.RemoveAll(dir)
		}
		if !onTerminal() {
			return nil, errInvalidEdit(wrong, path)
		}
		sayError(wrong)
		if again, err := confirm(ctx, askEditAgain); err != nil || !again {
			return nil, errInvalidEdit(wrong, path)
		}
	}
}

// runEditor runs the operator's editor.
func runEditor(ctx context.Context, dir, path string) error {
	cmd := editorCommand(dir, path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stderr, os.Stderr
	if onTerminal() {
		cmd.Stdout = os.Stdout
	}
	// A Ctrl-C is for the editor, which has its own idea of it.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	if err := cmd.Run(); err != nil {
		return errEditor(err)
	}
	return ctx.Err()
}

// keepText keeps a text that could not be used and returns where.
func keepText(name string, text []byte) (string, error) {
	dir, err := os.MkdirTemp("", "bottle-edit-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, text, 0o600)
}
