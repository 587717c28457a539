package gitgate

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	"github.com/claude-bottle/claude-bottle/policy"
	"github.com/claude-bottle/claude-bottle/secretscan"
)

const uploadPack = "git-upload-pack"

// maxFetchRequest bounds a fetch request: wants and haves, no content.
const maxFetchRequest = 64 << 20

// advertiseFetch answers info/refs?service=git-upload-pack, fresh from the
// upstream each time.
func (r *Role) advertiseFetch(w http.ResponseWriter, q *http.Request, repo *repository) {
	protocol := gitProtocol(q)
	advertisement, err := repo.upstream.advertise(q.Context(), uploadPack, protocol)
	if err != nil {
		r.upstreamFailed(w, q, repo, err)
		return
	}
	if !r.allow(w, q, repo, "fetch") {
		return
	}
	w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
	if !strings.Contains(protocol, "version=2") {
		lines := pktline.NewEncoder(w)
		_ = lines.Encodef("# service=%s\n", uploadPack)
		_ = lines.Flush()
	}
	w.Write(advertisement)
}

// fetch relays one request to the upstream and its answer back. What the agent
// sends is scanned on its way: object ids and capabilities can carry a secret.
func (r *Role) fetch(w http.ResponseWriter, q *http.Request, repo *repository) {
	body, err := requestBody(q.Header, q.Body)
	if err != nil {
		r.refuse(w, q, repo, policy.Malformed, err.Error())
		return
	}
	scanned, err := heldFetch(r.scanner.Reader("fetch request", io.LimitReader(body, maxFetchRequest)))
	if err != nil {
		r.requestFailed(w, q, repo, err)
		return
	}
	reply, err := repo.upstream.request(q.Context(), uploadPack, gitProtocol(q), scanned)
	if err != nil {
		r.requestFailed(w, q, repo, err)
		return
	}
	defer reply.Close()

	// The first bytes decide on the status: until then a refusal can be told.
	first := make([]byte, 32<<10)
	n, err := reply.Read(first)
	if err != nil && !errors.Is(err, io.EOF) {
		r.requestFailed(w, q, repo, err)
		return
	}
	if !r.allow(w, q, repo, "fetch") {
		return
	}
	w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
	if _, err := w.Write(first[:n]); err != nil {
		return
	}
	if err := copyFlushing(w, reply); err != nil {
		r.log.Warn("fetch ended early", "repository", repo.name, "error", r.scanner.Redact(err.Error()))
		panic(http.ErrAbortHandler) // the client must not take this for the end
	}
}

// heldFetch reads a request of usual length to its end, so that nothing is asked
// of the upstream when it holds a secret, and its length can be told.
func heldFetch(body io.Reader) (io.Reader, error) {
	const usual = 1 << 20
	var held bytes.Buffer
	switch _, err := io.CopyN(&held, body, usual); {
	case errors.Is(err, io.EOF):
		return &held, nil
	case err != nil:
		return nil, err
	}
	return io.MultiReader(&held, body), nil
}

func (r *Role) requestFailed(w http.ResponseWriter, q *http.Request, repo *repository, err error) {
	var finding *secretscan.Finding
	if errors.As(err, &finding) {
		r.refuse(w, q, repo, policy.Secret, fmt.Sprintf("%s in %s", finding.Rule, finding.Place))
		return
	}
	r.upstreamFailed(w, q, repo, err)
}

// requestBody is the request's body, unpacked: git compresses long requests.
func requestBody(header http.Header, raw io.Reader) (io.Reader, error) {
	switch encoding := header.Get("Content-Encoding"); encoding {
	case "", "identity":
		return raw, nil
	case "gzip", "x-gzip":
		body, err := gzip.NewReader(raw)
		if err != nil {
			return nil, errors.New("the request says it is gzip and is not")
		}
		return body, nil
	default:
		return nil, fmt.Errorf("the request's coding %q is not one git uses", encoding)
	}
}

// copyFlushing copies a stream so that progress is seen when it is made.
func copyFlushing(w http.ResponseWriter, from io.Reader) error {
	flush := http.NewResponseController(w).Flush
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
			if err := flush(); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// gitProtocol is the version the client asks for, in a form that is safe to
// pass on: version 1 or 2, otherwise none.
func gitProtocol(q *http.Request) string {
	for _, field := range strings.Split(q.Header.Get("Git-Protocol"), ":") {
		if field == "version=1" || field == "version=2" {
			return field
		}
	}
	return ""
}
