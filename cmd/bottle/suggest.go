package main

import (
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	yaml "go.yaml.in/yaml/v4"

	"github.com/claude-bottle/claude-bottle/replay"
	"github.com/claude-bottle/claude-bottle/roles/egress/routes"
	"github.com/claude-bottle/claude-bottle/state"
)

func newSuggest(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "suggest SLUG", Short: suggestShort, Long: suggestLong, Args: cobra.ExactArgs(1)}
	a.jsonFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		home, err := a.dir()
		if err != nil {
			return err
		}
		suggestion, refused, err := suggest(home, args[0])
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(suggestionJSON(suggestion, refused))
		}
		return printSuggestion(suggestion, refused)
	}
	return cmd
}

// suggest reads a bottle's refusals and routes; the bottle need not run.
func suggest(home state.Home, slug string) (replay.Suggestion, uint64, error) {
	if err := state.CheckSlug(slug); err != nil {
		return replay.Suggestion{}, 0, err
	}
	if !home.Exists(slug) {
		return replay.Suggestion{}, 0, errNoAudit(slug)
	}
	dir := home.Dir(slug)
	refusals, err := replay.Load(dir.Audit())
	if err != nil {
		return replay.Suggestion{}, 0, err
	}
	file, err := os.ReadFile(dir.Routes())
	if err != nil {
		return replay.Suggestion{}, 0, err
	}
	table, err := routes.Parse(file)
	if err != nil {
		return replay.Suggestion{}, 0, err
	}
	return replay.Suggest(refusals, table, time.Now(), nil), replay.Count(refusals), nil
}

// suggestedJSON is one route for scripts.
type suggestedJSON struct {
	Host        string   `json:"host"`
	Ports       []uint16 `json:"ports,omitempty"`
	Methods     []string `json:"methods,omitempty"`
	Paths       []string `json:"paths,omitempty"`
	Covers      uint64   `json:"covers"`
	Connections uint64   `json:"connections,omitempty"`
}

func suggestionJSON(s replay.Suggestion, refused uint64) any {
	rules := []suggestedJSON{}
	for _, r := range s.Rules {
		rules = append(rules, suggestedJSON{r.Route.Host, r.Route.Ports, r.Route.Methods, r.Route.Paths, r.Covers, r.Connections})
	}
	leftOut := s.LeftOut
	if leftOut == nil {
		leftOut = []replay.LeftOut{}
	}
	return struct {
		Refused uint64           `json:"refused"`
		Rules   []suggestedJSON  `json:"rules"`
		LeftOut []replay.LeftOut `json:"left_out"`
	}{refused, rules, leftOut}
}

// yamlOf is the route as an item of a bottle file's list of routes.
func yamlOf(r routes.Route) (string, error) {
	table, err := routes.New([]routes.Route{r})
	if err != nil {
		return "", err
	}
	var doc yaml.Node
	if err := yaml.Load(table.Render(), &doc); err != nil {
		return "", err
	}
	list := doc.Content[0].Content[1]
	for _, value := range list.Content[0].Content {
		if value.Kind == yaml.SequenceNode {
			value.Style |= yaml.FlowStyle
		}
	}
	text, err := yaml.Dump(list, yaml.WithIndent(2))
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		out.WriteString("    " + line)
	}
	return out.String(), err
}
