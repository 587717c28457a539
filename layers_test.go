// Package bottle_test guards the module's shape: packages import downwards
// only, and only cmd/sidecars knows the roles' run loops.
package bottle_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/claude-bottle/claude-bottle/"

// layers is the repository map, top to bottom. A package may import those in
// lower rows; within a row only what is listed in sameRow.
var layers = [][]string{
	{"cmd/bottle", "cmd/sidecars", "cmd/bottle-init", "internal/bench"},
	{"cmd/bottle/demo", "cmd/bottle/tui"},
	{"control"},
	{"backend/docker/compose"},
	{"backend/namespace", "backend/docker", "backend/smolmachines"},
	{"backend"},
	{"containment", "attack"},
	{"plan"},
	{"agentenv"},
	{"manifest"},
	{"preset"},
	{"supervisor"},
	{"roles/egress", "roles/gitgate", "roles/supervise", "roles/pipelock"},
	{"roles/gitgate/config", "roles/pipelock/config"},
	{"replay"},
	{"roles/egress/routes"},
	{"proposal"},
	{"audit", "health"},
	{"secretscan", "state"},
	{"policy", "canon", "examples"},
}

// runLoops may be imported by cmd/sidecars alone.
var runLoops = []string{"roles/egress", "roles/gitgate", "roles/supervise", "roles/pipelock"}

// forTests may be imported by tests and playgrounds alone.
var (
	forTests    = []string{"internal/dnstest", "internal/pkitest", "internal/pipelocktest", "internal/sshdtest"}
	playgrounds = []string{"internal/bench", "cmd/bottle/demo"}
)

func TestImportsPointDown(t *testing.T) {
	row := make(map[string]int)
	for i, layer := range layers {
		for _, name := range layer {
			row[name] = i
		}
	}
	for name, imports := range listPackages(t) {
		if strings.HasPrefix(name, "internal/") && name != "internal/bench" {
			continue // helpers stand beside the map
		}
		from, ok := row[name]
		if !ok {
			t.Errorf("%s is not in the repository map", name)
			continue
		}
		for _, imported := range imports {
			to, known := row[imported]
			if known && to <= from {
				t.Errorf("%s imports %s, which is not below it", name, imported)
			}
			if slices.Contains(runLoops, imported) && name != "cmd/sidecars" {
				t.Errorf("%s imports the run loop %s", name, imported)
			}
			if slices.Contains(forTests, imported) && !slices.Contains(playgrounds, name) {
				t.Errorf("%s imports %s, which is for tests", name, imported)
			}
		}
	}
}

// listPackages returns each package's imports from this module, without those
// of its tests, all relative to the module's root.
func listPackages(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := make(map[string][]string)
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name, ok := strings.CutPrefix(p.ImportPath, module)
		if !ok {
			continue
		}
		packages[name] = nil
		for _, imported := range p.Imports {
			if relative, ok := strings.CutPrefix(imported, module); ok {
				packages[name] = append(packages[name], relative)
			}
		}
	}
	return packages
}
