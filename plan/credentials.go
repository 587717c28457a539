package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// credentials gives each host variable that a route or repository names one
// variable EGRESS_TOKEN_n of the bundle.
type credentials struct {
	lookup func(string) (string, bool)
	names  map[string]string   // host variable → EGRESS_TOKEN_n
	refs   map[string]string   // EGRESS_TOKEN_n → host variable
	values map[string]string   // EGRESS_TOKEN_n → value
	roles  map[string][]string // EGRESS_TOKEN_n → who shows it to somebody
	errs   []error
}

func newCredentials(lookup func(string) (string, bool)) *credentials {
	return &credentials{lookup: lookup, names: map[string]string{}, refs: map[string]string{}, values: map[string]string{}, roles: map[string][]string{}}
}

// name returns the bundle's variable for a host variable that a role uses. What
// is wrong with the value is kept for err, so that the operator hears of all at
// once.
func (c *credentials) name(ref, where, role string) string {
	if name, ok := c.names[ref]; ok {
		if !slices.Contains(c.roles[name], role) {
			c.roles[name] = append(c.roles[name], role)
		}
		return name
	}
	name := fmt.Sprintf("EGRESS_TOKEN_%d", len(c.names)+1)
	value, ok := c.lookup(ref)
	switch {
	case !ok || value == "":
		c.errs = append(c.errs, fmt.Errorf("%s: the host variable %s of token_ref is not set; export it in the shell that runs bottle", where, ref))
	case len(value) < minSecret:
		c.errs = append(c.errs, fmt.Errorf("%s: the value of %s has fewer than %d characters and cannot be told from other text; use a real token", where, ref, minSecret))
	case strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }):
		c.errs = append(c.errs, fmt.Errorf("%s: the value of %s holds a space or control character, which no header can carry", where, ref))
	}
	c.names[ref], c.refs[name], c.values[name], c.roles[name] = name, ref, value, []string{role}
	return name
}

func (c *credentials) err() error { return errors.Join(c.errs...) }

// checkCredentialsStayOut makes sure that the agent is given no value that
// egress or git-gate holds for it.
func checkCredentialsStayOut(p *Plan, env []variable) error {
	for _, v := range env {
		for name, token := range p.Tokens {
			if strings.Contains(v.value, token) {
				return fmt.Errorf("%s: would give the agent the value of %s, which a token_ref keeps from it; remove one of the two, or put a placeholder here", v.where, p.Credentials[name])
			}
		}
	}
	for _, f := range p.AgentFiles {
		for name, token := range p.Tokens {
			if strings.Contains(string(f.Content), token) {
				return fmt.Errorf("the agent's file %s would hold the value of %s, which a token_ref keeps from it", f.Path, p.Credentials[name])
			}
		}
	}
	return nil
}
