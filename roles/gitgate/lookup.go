package gitgate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	"github.com/claude-bottle/claude-bottle/internal/gitpack"
)

// lookup asks the upstream for what a push has to be compared with, in git's
// protocol version 2. An upstream that does not speak it cannot be asked.
type lookup struct {
	upstream upstream
	format   gitpack.Format
	spool    *spool
	limits   gitpack.Limits
	memory   *memory
	offers   *offers
}

// offers is what an upstream can do, asked once.
type offers struct {
	mu     sync.Mutex
	known  bool
	filter bool // it can leave out files
}

const version2 = "version=2"

// fetchedPack is a pack that the upstream sent.
type fetchedPack struct {
	*gitpack.Pack
	file *spooled
}

// Close frees its space.
func (f *fetchedPack) Close() error { return f.file.Close() }

// snapshot returns an object with the trees in it; of a commit, without its
// history.
func (l *lookup) snapshot(ctx context.Context, id gitpack.ID) (*fetchedPack, error) {
	return l.fetch(ctx, "blob:none", "want "+id.String(), "deepen 1")
}

// history returns the commits that lead to tip and not to base.
func (l *lookup) history(ctx context.Context, tip, base gitpack.ID) (*fetchedPack, error) {
	return l.fetch(ctx, "tree:0", "want "+tip.String(), "have "+base.String())
}

// head is the commit that the upstream's HEAD points to; zero when there is
// none.
func (l *lookup) head(ctx context.Context) (gitpack.ID, error) {
	reply, err := l.command(ctx, "ls-refs", "peel", "ref-prefix HEAD")
	if err != nil {
		return "", err
	}
	defer reply.Close()
	var head gitpack.ID
	for {
		line, kind, err := readPkt(reply)
		if err != nil {
			return "", err
		}
		if kind != pktData {
			return head, nil
		}
		if id, name, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), " "); ok && name == "HEAD" {
			if head, err = l.format.ParseID(id); err != nil {
				return "", err
			}
		}
	}
}

func (l *lookup) fetch(ctx context.Context, filter string, arguments ...string) (*fetchedPack, error) {
	filters, err := l.canFilter(ctx)
	if err != nil {
		return nil, err
	}
	if filters {
		arguments = append(arguments, "filter "+filter)
	}
	reply, err := l.command(ctx, "fetch", append(arguments, "no-progress", "ofs-delta", "done")...)
	if err != nil {
		return nil, err
	}
	defer reply.Close()
	file, err := l.spool.create()
	if err != nil {
		return nil, err
	}
	pack, err := l.receive(ctx, reply, file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("the upstream was asked for what the push is compared with: %w", err)
	}
	return &fetchedPack{pack, file}, nil
}

func (l *lookup) canFilter(ctx context.Context) (bool, error) {
	l.offers.mu.Lock()
	defer l.offers.mu.Unlock()
	if !l.offers.known {
		raw, err := l.upstream.advertise(ctx, uploadPack, version2)
		if err != nil {
			return false, err
		}
		if !bytes.Contains(raw, []byte("version 2\n")) {
			return false, errors.New("the upstream does not speak version 2 of git's protocol")
		}
		l.offers.known, l.offers.filter = true, offersFilter(raw)
	}
	return l.offers.filter, nil
}

// offersFilter reads the capability "fetch=shallow … filter …".
func offersFilter(raw []byte) bool {
	in := bytes.NewReader(raw)
	for {
		line, kind, err := readPkt(in)
		if err != nil || kind == pktFlush {
			return false
		}
		if features, ok := strings.CutPrefix(strings.TrimSuffix(string(line), "\n"), "fetch="); ok {
			for feature := range strings.FieldsSeq(features) {
				if feature == "filter" {
					return true
				}
			}
		}
	}
}

func (l *lookup) command(ctx context.Context, name string, arguments ...string) (io.ReadCloser, error) {
	var request bytes.Buffer
	lines := pktline.NewEncoder(&request)
	_ = lines.Encodef("command=%s\n", name)
	if l.format == gitpack.SHA256 {
		_ = lines.Encodef("object-format=%s\n", l.format)
	}
	request.WriteString("0001")
	for _, argument := range arguments {
		_ = lines.Encodef("%s\n", argument)
	}
	_ = lines.Flush()
	return l.upstream.request(ctx, uploadPack, version2, &request)
}

// receive reads the answer to a fetch: sections, of which the last is the pack
// in bands.
func (l *lookup) receive(ctx context.Context, reply io.Reader, file *spooled) (*gitpack.Pack, error) {
	for inPack := false; ; {
		line, kind, err := readPkt(reply)
		if err != nil {
			return nil, err
		}
		switch {
		case kind == pktFlush && !inPack:
			return nil, errors.New("it sent none")
		case kind == pktFlush:
			return gitpack.Read(ctx, file.file, file.size, l.format, l.limits, l.memory)
		case !inPack && bytes.HasPrefix(line, []byte("ERR ")):
			return nil, errors.New("it refused")
		case !inPack:
			inPack = string(line) == "packfile\n"
		case len(line) > 0 && line[0] == bandStatus:
			if _, err := file.Write(line[1:]); err != nil {
				return nil, err
			}
		case len(line) > 0 && line[0] == bandError:
			return nil, errors.New("it failed")
		}
	}
}
