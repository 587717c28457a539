package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	gitgate "github.com/claude-bottle/claude-bottle/roles/gitgate/config"
	pipelock "github.com/claude-bottle/claude-bottle/roles/pipelock/config"
	"github.com/claude-bottle/claude-bottle/state"
)

// inputs are the files that the bundle reads.
func (p *Plan) inputs(o Options, table *routes.Table, repos *gitgate.Config, keys []File, ca authority) error {
	add := func(path string, content []byte) {
		p.Inputs = append(p.Inputs, File{Path: filepath.Base(path), Mode: 0o600, Content: content})
	}
	add(p.State.Routes(), table.Render())
	add(p.State.CACert(), ca.cert)
	add(p.State.CAKey(), ca.key)
	if len(p.Repos) > 0 {
		content, err := repos.Render()
		if err != nil {
			return fmt.Errorf("rendering git-gate's configuration: %w", err)
		}
		add(p.State.GitGate(), content)
		p.Inputs = append(p.Inputs, keys...)
	}
	if p.Pipelock != "on" {
		return nil
	}
	inner, err := newAuthority("claude-bottle "+p.Slug+" pipelock", o.Now())
	if err != nil {
		return err
	}
	content, err := pipelock.Render(table, pipelock.Options{})
	if err != nil {
		return fmt.Errorf("pipelock: %w", err)
	}
	add(p.State.Pipelock(), content)
	add(p.State.PipelockCACert(), inner.cert)
	add(p.State.PipelockCAKey(), inner.key)
	return nil
}

// Write makes the bottle's folder and its input files. An error matches
// state.ErrExists when the slug is taken; after any other nothing is left.
func (p *Plan) Write(home state.Home) error {
	d, err := home.Create(p.Slug)
	if err != nil {
		return err
	}
	if err := p.write(d); err != nil {
		return errors.Join(fmt.Errorf("writing the bottle's files: %w", err), d.Remove())
	}
	return nil
}

func (p *Plan) write(d state.Dir) error {
	record, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.Plan(), append(record, '\n'), 0o600); err != nil {
		return err
	}
	for _, f := range p.Inputs {
		if err := os.WriteFile(filepath.Join(d.In(), filepath.FromSlash(f.Path)), f.Content, os.FileMode(f.Mode)); err != nil {
			return err
		}
	}
	return nil
}

// Read returns the plan that a bottle was started with, without what Write
// kept off the disk.
func Read(d state.Dir) (*Plan, error) {
	content, err := os.ReadFile(d.Plan())
	if err != nil {
		return nil, fmt.Errorf("reading the bottle's plan: %w", err)
	}
	p := &Plan{}
	if err := json.Unmarshal(content, p); err != nil {
		return nil, fmt.Errorf("reading the bottle's plan %s: %w", d.Plan(), err)
	}
	return p, nil
}
