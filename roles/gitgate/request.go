package gitgate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/claude-bottle/claude-bottle/internal/gitpack"
)

const receivePack = "git-receive-pack"

const (
	// maxSection bounds what stands before the pack.
	maxSection = 4 << 20
	// maxCommands is how many references one push may change.
	maxCommands = 1000
)

// pushRequest is what stands before the pack of a push.
type pushRequest struct {
	format   gitpack.Format
	commands []command
	options  []string

	sideband, status bool // how the client wants to be answered
	pushOptions      bool // options follow the commands
	size             int64
}

// command is one change of a reference.
type command struct {
	old, new gitpack.ID
	ref      string
}

func (c command) creates() bool { return c.old.Zero() }
func (c command) deletes() bool { return c.new.Zero() }

// hasPack tells whether a pack follows: git sends none when it only deletes.
func (r *pushRequest) hasPack() bool {
	return slices.ContainsFunc(r.commands, func(c command) bool { return !c.deletes() })
}

// errProbe says that the request is the empty one that git sends before a long
// one, to see whether it may.
var errProbe = errors.New("only a probe")

// sectionReader counts, and ends what is too long.
type sectionReader struct {
	r io.Reader
	n int64
}

func (s *sectionReader) Read(b []byte) (int, error) {
	if s.n >= maxSection {
		return 0, fmt.Errorf("more than %d bytes stand before the pack", maxSection)
	}
	n, err := s.r.Read(b[:min(int64(len(b)), maxSection-s.n)])
	s.n += int64(n)
	return n, err
}

// readPush reads shallow lines, commands and options, and no byte of the pack.
// What git would read differently is an error. With an error that is not
// errProbe, what was read until then tells how to answer.
func readPush(r io.Reader) (*pushRequest, error) {
	section := &sectionReader{r: r}
	request := &pushRequest{}
	err := request.read(section)
	request.size = section.n
	if errors.Is(err, io.EOF) {
		err = errors.New("the push ends before its pack")
	}
	return request, err
}

func (r *pushRequest) read(section io.Reader) error {
	shallow := 0
	for {
		line, kind, err := readPkt(section)
		if err != nil {
			return err
		}
		if kind == pktFlush {
			break
		}
		if kind != pktData {
			return errors.New("a pkt-line of protocol version 2 in a push")
		}
		if id, ok := bytes.CutPrefix(line, []byte("shallow ")); ok && len(r.commands) == 0 {
			if shallow++; !isID(strings.TrimSuffix(string(id), "\n")) {
				return errors.New("a shallow line without an object id")
			}
			continue
		}
		if err := r.addCommand(line); err != nil {
			return err
		}
	}
	if len(r.commands) == 0 {
		if shallow > 0 {
			return errors.New("a push without commands")
		}
		return errProbe
	}
	if !r.pushOptions {
		return nil
	}
	for {
		line, kind, err := readPkt(section)
		if err != nil {
			return err
		}
		if kind == pktFlush {
			return nil
		}
		if kind != pktData {
			return errors.New("a pkt-line of protocol version 2 among the push options")
		}
		r.options = append(r.options, strings.TrimSuffix(string(line), "\n"))
	}
}

func isID(text string) bool {
	_, err1 := gitpack.SHA1.ParseID(text)
	_, err2 := gitpack.SHA256.ParseID(text)
	return err1 == nil || err2 == nil
}

// addCommand reads "old new ref", on the first line with capabilities.
func (r *pushRequest) addCommand(line []byte) error {
	if len(r.commands) == maxCommands {
		return fmt.Errorf("more than %d references in one push", maxCommands)
	}
	text, capabilities, hasCapabilities := strings.Cut(string(line), "\x00")
	if hasCapabilities {
		if len(r.commands) > 0 {
			return errors.New("capabilities behind the first command")
		}
		if err := r.readCapabilities(strings.TrimSuffix(capabilities, "\n")); err != nil {
			return err
		}
	}
	text = strings.TrimSuffix(text, "\n")
	fields := strings.SplitN(text, " ", 3)
	if len(fields) != 3 {
		return errors.New("a command that is not \"old new reference\"")
	}
	var c command
	var err1, err2 error
	c.old, err1 = r.format.ParseID(fields[0])
	c.new, err2 = r.format.ParseID(fields[1])
	c.ref = fields[2]
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("a command with something else than %s object ids", r.format)
	}
	if !strings.HasPrefix(c.ref, "refs/") || plumbing.ReferenceName(c.ref).Validate() != nil {
		return errors.New("a command with a name that no reference may have")
	}
	if slices.ContainsFunc(r.commands, func(other command) bool { return other.ref == c.ref }) {
		return errors.New("two commands for one reference")
	}
	if c.old.Zero() && c.new.Zero() {
		return errors.New("a command that changes nothing to nothing")
	}
	r.commands = append(r.commands, c)
	return nil
}

// readCapabilities accepts only what the gate understands.
func (r *pushRequest) readCapabilities(list string) error {
	for _, capability := range strings.Fields(list) {
		name, value, _ := strings.Cut(capability, "=")
		switch name {
		case "report-status", "report-status-v2":
			r.status = true
		case "side-band-64k":
			r.sideband = true
		case "push-options":
			r.pushOptions = true
		case "object-format":
			switch value {
			case "sha1":
			case "sha256":
				r.format = gitpack.SHA256
			default:
				return errors.New("an object format that is not known")
			}
		case "delete-refs", "ofs-delta", "quiet", "atomic", "agent":
		default:
			return errors.New("a capability that was not offered")
		}
	}
	return nil
}
