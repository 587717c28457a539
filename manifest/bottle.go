package manifest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"github.com/claude-bottle/claude-bottle/internal/strictyaml"
	"github.com/claude-bottle/claude-bottle/preset"
	"github.com/claude-bottle/claude-bottle/state"
)

// Bottle is a bottle file with all that it extends folded in.
type Bottle struct {
	// Name is the file's name without .md.
	Name string
	// Env is the agent's environment.
	Env map[string]Value
	// Command is what runs when the operator names nothing; nil = a shell.
	Command []string
	// Image and Dockerfile are for backends that run images; Dockerfile is an
	// absolute path.
	Image, Dockerfile string
	// Presets are names of package preset, Routes the bottle's own.
	Presets []string
	Routes  []Route
	GitUser User
	Repos   map[string]Repo
	// Supervise is true unless the file turns it off.
	Supervise bool
	// Pipelock is "auto", "required" or "off"; Backend may be empty.
	Pipelock, Backend string
}

// bottleFile is one file as it is written.
type bottleFile struct {
	Extends   words            `yaml:"extends"`
	Env       map[string]Value `yaml:"env"`
	Agent     agentSection     `yaml:"agent"`
	Egress    *egressSection   `yaml:"egress"`
	GitGate   gitGateSection   `yaml:"git-gate"`
	Supervise *bool            `yaml:"supervise"`
	Pipelock  word             `yaml:"pipelock"`
	Backend   word             `yaml:"backend"`
}

type agentSection struct {
	Image      string   `yaml:"image"`
	Dockerfile string   `yaml:"dockerfile"`
	Command    []string `yaml:"command"`
}

type egressSection struct {
	Presets []word  `yaml:"presets"`
	Routes  []Route `yaml:"routes"`
}

type gitGateSection struct {
	User  *User           `yaml:"user"`
	Repos map[string]Repo `yaml:"repos"`
}

// word is a text that knows its line.
type word struct {
	text string
	line int
}

func (w *word) UnmarshalYAML(node *yaml.Node) error {
	w.line = node.Line
	return strictyaml.Node(node, &w.text)
}

// words is one word or a list of them.
type words []word

func (l *words) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*l = make([]word, 1)
		return strictyaml.Node(node, &(*l)[0])
	}
	return strictyaml.Node(node, (*[]word)(l))
}

// maxDepth is how many files may extend one another in a row.
const maxDepth = 16

// LoadBottle reads a bottle file of the home folder and folds what it extends:
// parents from left to right, then the file itself. env is merged key by key;
// agent's keys, git-gate's user and repos, egress, supervise, pipelock and
// backend replace the parent's where the file declares them.
// A missing file is a *NotFoundError.
func LoadBottle(home state.Home, name string) (*Bottle, error) {
	b := Default(name)
	if err := b.fold(home, name, "", nil); err != nil {
		return nil, err
	}
	return b, nil
}

// Default is the bottle of an empty file: it reaches nothing, and its agent can
// ask for more.
func Default(name string) *Bottle {
	return &Bottle{Name: name, Env: map[string]Value{}, Repos: map[string]Repo{}, Supervise: true, Pipelock: "auto"}
}

// fold lays the file called name, and before it what it extends, over b.
// children are the files that led here, where is the place in the last of them
// that names this one, to begin an error with.
func (b *Bottle) fold(home state.Home, name, where string, children []string) error {
	chain := append(slices.Clone(children), name)
	if slices.Contains(children, name) {
		return fmt.Errorf("%sbottle files extend each other in a circle: %s", where, strings.Join(chain, " → "))
	}
	if len(chain) > maxDepth {
		return fmt.Errorf("%sbottle files extend one another more than %d deep: %s", where, maxDepth, strings.Join(chain, " → "))
	}
	path, file, err := readBottle(home, name)
	if err != nil {
		return fmt.Errorf("%s%w", where, err)
	}
	for _, parent := range file.Extends {
		if err := b.fold(home, parent.text, fmt.Sprintf("%s:%d: extends: ", path, parent.line), chain); err != nil {
			return err
		}
	}
	file.layOver(b, path)
	return nil
}

func readBottle(home state.Home, name string) (string, *bottleFile, error) {
	if err := checkName("a bottle file", name); err != nil {
		return "", nil, err
	}
	path := filepath.Join(home.Bottles(), name+".md")
	src, err := read(os.OpenFile, path, maxBottleFile)
	if errors.Is(err, os.ErrNotExist) {
		known, _ := Bottles(home)
		return "", nil, &NotFoundError{Kind: "bottle", Name: name, Known: known, Folder: home.Bottles()}
	}
	if err != nil {
		return "", nil, fmt.Errorf("reading a bottle file: %w", err)
	}
	file, err := parseBottle(src)
	if err != nil {
		return "", nil, locate(path, err)
	}
	return path, file, nil
}

func parseBottle(src []byte) (*bottleFile, error) {
	front, _, err := split(src)
	if err != nil {
		return nil, err
	}
	if front == nil {
		return nil, &strictyaml.Error{Line: 1, Message: "a bottle file begins with YAML between two lines ---"}
	}
	var file bottleFile
	if err := strictyaml.Load(front, &file); err != nil {
		return nil, err
	}
	return &file, file.check()
}

func (f *bottleFile) check() error {
	var errs []error
	for name, value := range f.Env {
		errs = append(errs, at(value.line, checkVariable("env", name)))
	}
	if f.Egress != nil {
		for _, name := range f.Egress.Presets {
			_, err := preset.Lookup(name.text)
			errs = append(errs, at(name.line, err))
		}
	}
	for name, repo := range f.GitGate.Repos {
		errs = append(errs, at(repo.line, repo.check(name)))
	}
	if f.GitGate.User != nil {
		errs = append(errs, f.GitGate.User.check())
	}
	errs = append(errs,
		oneOf("pipelock", f.Pipelock, "auto", "required", "off"),
		oneOf("backend", f.Backend, "namespace", "docker", "smolmachines"))
	if f.Agent.Command != nil && (len(f.Agent.Command) == 0 || f.Agent.Command[0] == "") {
		errs = append(errs, errors.New("agent.command: is empty; name a program or leave the key out"))
	}
	return errors.Join(errs...)
}

// oneOf allows the empty text too: the key is absent.
func oneOf(key string, w word, allowed ...string) error {
	if w.text == "" || slices.Contains(allowed, w.text) {
		return nil
	}
	return at(w.line, fmt.Errorf("%s: %.40q is none of %s", key, w.text, strings.Join(allowed, ", ")))
}

// layOver replaces in b what the file declares.
func (f *bottleFile) layOver(b *Bottle, path string) {
	for name, value := range f.Env {
		value.Where = fmt.Sprintf("%s:%d: env.%s", path, value.line, name)
		b.Env[name] = value
	}
	if f.Agent.Image != "" || f.Agent.Dockerfile != "" {
		b.Image, b.Dockerfile = f.Agent.Image, f.Agent.Dockerfile
		if b.Dockerfile != "" && !filepath.IsAbs(b.Dockerfile) {
			b.Dockerfile = filepath.Join(filepath.Dir(path), b.Dockerfile)
		}
	}
	if f.Agent.Command != nil {
		b.Command = f.Agent.Command
	}
	if f.Egress != nil {
		b.Presets, b.Routes = nil, f.Egress.Routes
		for _, name := range f.Egress.Presets {
			b.Presets = append(b.Presets, name.text)
		}
		for i := range b.Routes {
			b.Routes[i].Where = fmt.Sprintf("%s:%d: the route for %s", path, b.Routes[i].line, b.Routes[i].Host)
		}
	}
	if f.GitGate.User != nil {
		b.GitUser = *f.GitGate.User
	}
	if f.GitGate.Repos != nil {
		b.Repos = f.GitGate.Repos
		for name, repo := range b.Repos {
			repo.Where = fmt.Sprintf("%s:%d: git-gate.repos.%s", path, repo.line, name)
			b.Repos[name] = repo
		}
	}
	if f.Supervise != nil {
		b.Supervise = *f.Supervise
	}
	if f.Pipelock.text != "" {
		b.Pipelock = f.Pipelock.text
	}
	if f.Backend.text != "" {
		b.Backend = f.Backend.text
	}
}
