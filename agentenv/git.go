package agentenv

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/claude-bottle/claude-bottle/roles/gitgate/config"
)

// gitFile is git's system configuration: each declared upstream, in every way
// people write it, becomes a repository of git-gate.
//
// Git replaces the longest prefix that fits. A repository whose name begins
// with a declared one's is therefore led to git-gate as well, which refuses it
// by name.
func gitFile(o Options) (File, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "[safe]\n\tdirectory = %s\n\tdirectory = %s/*\n", Workspace, Workspace)
	if o.UserName != "" || o.UserEmail != "" {
		b.WriteString("[user]\n")
		for key, value := range map[string]string{"name": o.UserName, "email": o.UserEmail} {
			if value != "" {
				fmt.Fprintf(&b, "\t%s = %s\n", key, quote(value))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Repos)) {
		remote, err := config.ParseURL(o.Repos[name])
		if err != nil {
			return File{}, fmt.Errorf("git-gate.repos.%s: %w", name, err)
		}
		fmt.Fprintf(&b, "[url %s]\n", quote(gitGateURL+name+".git"))
		for _, form := range spellings(remote) {
			fmt.Fprintf(&b, "\tinsteadOf = %s\n", quote(form))
		}
	}
	return File{gitConfig, 0o644, []byte(b.String())}, nil
}

// spellings are the ways of writing a remote: ssh, scp-like and https, with and
// without user, default port and ".git".
func spellings(r config.Remote) []string {
	host := r.Host.String()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	// The other protocol's port is not known; its default one is meant.
	sshHosts, httpsHosts := []string{host, host + ":22"}, []string{host, host + ":443"}
	if r.Scheme == "ssh" && r.Port != 22 {
		sshHosts = []string{fmt.Sprintf("%s:%d", host, r.Port)}
	}
	if r.Scheme == "https" && r.Port != 443 {
		httpsHosts = []string{fmt.Sprintf("%s:%d", host, r.Port)}
	}
	path := strings.TrimSuffix(strings.Trim(r.Path, "/"), ".git")
	users := []string{"", "git@"}
	if r.User != "" && r.User != "git" {
		users = append(users, r.User+"@")
	}
	var bases []string
	for _, user := range users {
		for _, h := range sshHosts {
			bases = append(bases, "ssh://"+user+h+"/"+path)
		}
		if r.Scheme == "https" || r.Port == 22 {
			bases = append(bases, user+host+":"+path, user+host+":/"+path)
		}
		for _, h := range httpsHosts {
			bases = append(bases, "https://"+user+h+"/"+path)
		}
	}
	var forms []string
	for _, base := range bases {
		forms = append(forms, base+".git", base+"/", base)
	}
	return forms
}

// quote writes a value as git's configuration has it.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(text) + `"`
}
