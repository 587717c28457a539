package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// hooks are the ways to misbehave that a test asked for.
type hooks struct {
	hosts      map[string]netip.Addr
	slowStart  time.Duration
	neverReady bool
	killSwitch bool
	ignoreTerm bool
	exit       int // -1 = stay
	print      string
}

// readHooks reads the file beside the program; it need not exist.
func readHooks(path string) (hooks, error) {
	h := hooks{hosts: make(map[string]netip.Addr), exit: -1}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "":
		case "host":
			host, text, _ := strings.Cut(rest, " ")
			h.hosts[host], err = netip.ParseAddr(text)
		case "slow-start":
			h.slowStart, err = time.ParseDuration(rest)
		case "never-ready":
			h.neverReady = true
		case "kill-switch":
			h.killSwitch = true
		case "ignore-term":
			h.ignoreTerm = true
		case "exit":
			h.exit, err = strconv.Atoi(rest)
		case "print":
			h.print = rest
		default:
			err = fmt.Errorf("unknown hook %q", name)
		}
		if err != nil {
			return h, fmt.Errorf("%s: %w", path, err)
		}
	}
	return h, nil
}
