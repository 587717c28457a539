// Package examples holds bottle files to start from. `bottle init` writes the
// first of them; the others are there to be copied.
package examples

import _ "embed"

// Shell is a bottle that anyone can run at once: bash, curl and git on a couple
// of public hosts, no credential.
//
//go:embed shell.md
var Shell []byte
