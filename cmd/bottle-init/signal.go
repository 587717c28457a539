//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// signalFurther signals the process group of a command that runs with a token.
// One that has ended is no error.
func signalFurther(args []string) error {
	if len(args) != 2 {
		return errors.New(usage)
	}
	number, err := strconv.Atoi(args[1])
	if err != nil {
		return fmt.Errorf("%q is no signal: %w", args[1], err)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, path := range lines {
		content, err := os.ReadFile(path)
		argv := strings.Split(string(content), "\x00")
		if err != nil || len(argv) < 4 || argv[1] != "exec" || argv[2] != args[0] {
			continue
		}
		return signalChildren(filepath.Base(filepath.Dir(path)), unix.Signal(number))
	}
	return nil
}

// signalChildren signals the process groups that a process has started.
func signalChildren(pid string, number unix.Signal) error {
	lists, err := filepath.Glob("/proc/" + pid + "/task/*/children")
	if err != nil {
		return err
	}
	var failed []error
	for _, list := range lists {
		content, err := os.ReadFile(list)
		if err != nil {
			continue // it has ended
		}
		for field := range strings.FieldsSeq(string(content)) {
			if child, err := strconv.Atoi(field); err == nil {
				if err := unix.Kill(-child, number); !errors.Is(err, unix.ESRCH) {
					failed = append(failed, err)
				}
			}
		}
	}
	return errors.Join(failed...)
}
