package gitgate

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	"github.com/claude-bottle/claude-bottle/policy"
)

// advertisePush answers info/refs?service=git-receive-pack with what the
// upstream has, and with only those capabilities that the gate understands.
func (r *Role) advertisePush(w http.ResponseWriter, q *http.Request, repo *repository) {
	if len(repo.rules.Push) == 0 {
		r.refuse(w, q, repo, policy.GitWrite, "this repository is open for fetching only")
		return
	}
	raw, err := repo.upstream.advertise(q.Context(), receivePack, pushProtocol(q))
	if err != nil {
		r.upstreamFailed(w, q, repo, err)
		return
	}
	offered, err := offer(raw, repo.rules.PushOptions)
	if err != nil {
		r.upstreamFailed(w, q, repo, err)
		return
	}
	if !r.allow(w, q, repo, "push-references") {
		return
	}
	w.Header().Set("Content-Type", "application/x-"+receivePack+"-advertisement")
	w.Header().Set("Cache-Control", "no-cache")
	lines := pktline.NewEncoder(w)
	_ = lines.Encodef("# service=%s\n", receivePack)
	_ = lines.Flush()
	_, _ = w.Write(offered)
}

// pushProtocol is the version to speak: git has no version 2 for pushing.
func pushProtocol(q *http.Request) string {
	if protocol := gitProtocol(q); protocol == "version=1" {
		return protocol
	}
	return ""
}

// offer rewrites the capabilities of receive-pack's advertisement.
func offer(raw []byte, pushOptions bool) ([]byte, error) {
	var out bytes.Buffer
	lines := pktline.NewEncoder(&out)
	in, done := bytes.NewReader(raw), false
	for {
		line, kind, err := readPkt(in)
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the upstream's advertisement has no end")
		}
		if err != nil {
			return nil, err
		}
		if kind == pktFlush {
			if !done {
				return nil, errors.New("the upstream advertises no capabilities")
			}
			err := lines.Flush()
			return out.Bytes(), err
		}
		if len(line) == 0 { // go-git would write it as a flush
			return nil, errors.New("the upstream advertises an empty line")
		}
		if reference, capabilities, ok := bytes.Cut(line, []byte{0}); ok && !done {
			done = true
			kept := keepCapabilities(string(capabilities), pushOptions)
			err = lines.Encodef("%s\x00%s\n", reference, kept)
		} else {
			err = lines.Encode(line)
		}
		if err != nil {
			return nil, err
		}
	}
}

// keepCapabilities drops what the gate does not understand, such as push-cert,
// whose nonce belongs to another session, and asks for packs that are whole.
func keepCapabilities(list string, pushOptions bool) string {
	kept := []string{"no-thin"}
	for _, capability := range strings.Fields(list) {
		name, _, _ := strings.Cut(capability, "=")
		switch name {
		case "report-status", "report-status-v2", "delete-refs", "quiet", "atomic", "ofs-delta",
			"side-band-64k", "object-format", "agent":
			kept = append(kept, capability)
		case "push-options":
			if pushOptions {
				kept = append(kept, capability)
			}
		}
	}
	return strings.Join(kept, " ")
}
