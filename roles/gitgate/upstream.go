package gitgate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// upstream is a git remote that the gate speaks to. Both calls speak smart
// HTTP's language: an advertisement, and one request with its answer.
type upstream interface {
	// advertise returns the references and capabilities of a service, without
	// the "# service" line, up to and with the closing flush.
	advertise(ctx context.Context, service, protocol string) ([]byte, error)
	// request sends one request and returns the answer; close it. A body that
	// tells its length is sent with it, which some servers want.
	request(ctx context.Context, service, protocol string, body io.Reader) (io.ReadCloser, error)
	close()
}

// maxAdvertisement bounds what an upstream may advertise: some 800,000 refs.
const maxAdvertisement = 64 << 20

func (u *sshUpstream) advertise(ctx context.Context, service, protocol string) ([]byte, error) {
	p, err := u.open(ctx, service, protocol)
	if err != nil {
		return nil, err
	}
	defer p.close()
	defer context.AfterFunc(ctx, func() { p.session.Close() })()
	advertisement, err := readToFlush(p.out)
	if err != nil {
		return nil, fmt.Errorf("%s did not advertise the repository %s: %w", u.address, u.path, err)
	}
	// A flush is how a client says that it wants nothing. The upstream may be
	// gone before it hears that.
	_, _ = io.WriteString(p.in, "0000")
	_ = p.in.Close()
	return advertisement, nil
}

func (u *sshUpstream) request(ctx context.Context, service, protocol string, body io.Reader) (io.ReadCloser, error) {
	p, err := u.open(ctx, service, protocol)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { p.session.Close() })
	end := func() { stop(); p.close() }
	if _, err := readToFlush(p.out); err != nil {
		end()
		return nil, fmt.Errorf("%s did not advertise the repository %s: %w", u.address, u.path, err)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(p.in, body)
		if err == nil {
			err = p.in.Close()
		} else {
			// The upstream must not act on half a request.
			p.session.Close()
		}
		sent <- err
	}()
	return &answer{Reader: p.out, sent: sent, end: end}, nil
}

// answer is an upstream's answer. Its end is reached only when the request was
// sent whole: an error of the request's body, such as a secret that was found
// in it, is an error of the answer.
type answer struct {
	io.Reader
	sent chan error
	end  func()
}

func (a *answer) Read(b []byte) (int, error) {
	n, err := a.Reader.Read(b)
	if err == nil {
		return n, nil
	}
	select {
	case failed := <-a.sent:
		a.sent <- failed
		// Between two rounds of a negotiation an upstream stops reading
		// before the request ends; what it answered is right all the same.
		if failed != nil && !errors.Is(failed, io.EOF) {
			return n, failed
		}
	default:
	}
	return n, err
}

func (a *answer) Close() error {
	a.end()
	return nil
}

// readToFlush reads pkt-lines up to and with a flush and returns their bytes.
func readToFlush(r io.Reader) ([]byte, error) {
	var raw bytes.Buffer
	lines := io.TeeReader(io.LimitReader(r, maxAdvertisement), &raw)
	for {
		switch _, kind, err := readPkt(lines); {
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		case kind == pktFlush:
			return raw.Bytes(), nil
		}
	}
}

// httpUpstream is a remote behind HTTPS with a token.
type httpUpstream struct {
	url    string // without trailing slash
	token  string // empty = anonymous
	client *http.Client
}

func (u *httpUpstream) advertise(ctx context.Context, service, protocol string) ([]byte, error) {
	response, err := u.do(ctx, http.MethodGet, "/info/refs?service="+service, protocol, "", nil)
	if err != nil {
		return nil, err
	}
	defer response.Close()
	first, err := readToFlush(response)
	if err != nil {
		return nil, fmt.Errorf("%s did not advertise the repository: %w", u.url, err)
	}
	if !bytes.HasPrefix(first[4:], []byte("# service=")) {
		return first, nil
	}
	return readToFlush(response)
}

func (u *httpUpstream) request(ctx context.Context, service, protocol string, body io.Reader) (io.ReadCloser, error) {
	return u.do(ctx, http.MethodPost, "/"+service, protocol, "application/x-"+service+"-request", body)
}

func (u *httpUpstream) do(ctx context.Context, method, path, protocol, contentType string, body io.Reader) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, u.url+path, body)
	if err != nil {
		return nil, err
	}
	if sized, ok := body.(interface{ Size() int64 }); ok && request.ContentLength == 0 {
		request.ContentLength = sized.Size()
	}
	if u.token != "" {
		request.SetBasicAuth("x-access-token", u.token)
	}
	if protocol != "" {
		request.Header.Set("Git-Protocol", protocol)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := u.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("%s answered %s", strings.TrimSuffix(u.url, ".git"), response.Status)
	}
	return response.Body, nil
}

func (u *httpUpstream) close() { u.client.CloseIdleConnections() }
