package manifest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/claude-bottle/claude-bottle/internal/strictyaml"
	"github.com/claude-bottle/claude-bottle/state"
)

// repositoryAgents is where a working folder keeps agent files.
var repositoryAgents = filepath.Join(".claude-bottle", "agents")

// Agent is an agent file.
type Agent struct {
	// Name is the file's name without .md, Path the file.
	Name, Path string
	// Repository: the file is the working folder's, not the operator's. Its
	// wish for a bottle is then only a wish.
	Repository bool
	// Bottle is the bottle file it asks for; empty = none in particular.
	Bottle string
	// Skills are names of skill folders.
	Skills  []string
	GitUser User
	// Prompt is the file's body.
	Prompt string
}

type agentFile struct {
	Bottle  string   `yaml:"bottle"`
	Skills  []string `yaml:"skills"`
	GitGate struct {
		User User `yaml:"user"`
	} `yaml:"git-gate"`
}

// LoadAgent reads an agent file: the home folder's, or else the working
// folder's, where no link may lead out of it. A missing file is a
// *NotFoundError.
func LoadAgent(home state.Home, workspace, name string) (*Agent, error) {
	if err := checkName("an agent file", name); err != nil {
		return nil, err
	}
	agent := &Agent{Name: name, Path: filepath.Join(home.Agents(), name+".md")}
	src, err := read(os.OpenFile, agent.Path, maxAgentFile)
	if errors.Is(err, os.ErrNotExist) && workspace != "" {
		agent.Repository = true
		agent.Path = filepath.Join(workspace, repositoryAgents, name+".md")
		src, err = readWithin(workspace, filepath.Join(repositoryAgents, name+".md"))
	}
	if errors.Is(err, os.ErrNotExist) {
		known, _ := Agents(home, workspace)
		return nil, &NotFoundError{Kind: "agent", Name: name, Known: known, Folder: home.Agents()}
	}
	if err != nil {
		return nil, fmt.Errorf("reading an agent file: %w", err)
	}
	return agent, locate(agent.Path, agent.parse(src))
}

// readWithin reads a file below dir; a link that leads out of dir is an error.
func readWithin(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return read(root.OpenFile, name, maxAgentFile)
}

func (a *Agent) parse(src []byte) error {
	front, body, err := split(src)
	if err != nil {
		return err
	}
	var file agentFile
	if err := strictyaml.Load(front, &file); err != nil {
		return err
	}
	a.Bottle, a.Skills, a.GitUser = file.Bottle, file.Skills, file.GitGate.User
	a.Prompt = strings.TrimSpace(string(body))
	errs := []error{a.GitUser.check()}
	if a.Bottle != "" {
		errs = append(errs, checkName("a bottle file", a.Bottle))
	}
	for _, skill := range a.Skills {
		errs = append(errs, checkName("a skill", skill))
	}
	return errors.Join(errs...)
}
