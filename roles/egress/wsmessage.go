package egress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/claude-bottle/claude-bottle/secretscan"
)

// overlap is how much of the messages before is looked at together with the
// next, so that a secret cut into messages is found in its last piece.
const overlap = 512

// relayFrames reads messages, scans them, and writes them on: a byte of a
// message leaves once the scanner let it go, in fragments of its own, so that
// a message may be of any length. It ends with the frames of from, with a
// *secretscan.Finding, or with errFrame.
func relayFrames(to *frameWriter, from *frameReader, s *secretscan.Scanner, place string) error {
	m := &messages{to: to, from: from, scanner: s, place: place, containers: s.Follow(place)}
	defer m.containers.Close()
	for {
		err := m.relay()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// messages is the state between the messages of one direction.
type messages struct {
	to      *frameWriter
	from    *frameReader
	scanner *secretscan.Scanner
	place   string
	before  []byte // the end of the data so far
	// containers tells when that must hold more, because a file goes on.
	containers *secretscan.Follower
	control    []byte // the end of the control frames' payloads so far
	scratch    []byte // before and the message at hand, when that is whole
	buffer     [4 << 10]byte
}

// relay passes one message, or one control frame between messages.
func (m *messages) relay() error {
	if err := m.from.next(); err != nil {
		return err
	}
	if m.from.control() {
		return m.relayControl()
	}
	opcode := m.from.opcode
	if opcode == opContinuation {
		return fmt.Errorf("%w: a message begins with a continuation", errFrame)
	}
	if m.from.final && m.from.left <= maxWhole {
		return m.relayWhole()
	}
	skip := len(m.before)
	scanned := m.scanner.Reader(m.place, io.MultiReader(bytes.NewReader(m.before), (*messageReader)(m)))
	before := bytes.Clone(m.before)
	for {
		n, err := scanned.Read(m.buffer[:])
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return noEOF(err)
		}
		dropped := min(skip, n)
		skip -= dropped
		fresh := m.buffer[dropped:n]
		found, open := m.containers.Next(fresh)
		if found != nil {
			return found
		}
		before = tail(append(before, fresh...), max(overlap, open))
		if len(fresh) > 0 || ended {
			if err := m.to.write(opcode, ended, fresh); err != nil {
				return err
			}
			opcode = opContinuation
		}
		if ended {
			m.before = before
			return nil
		}
	}
}

// maxWhole is the longest message in one frame that is scanned and passed as
// one.
const maxWhole = 64 << 10

// relayWhole passes a message that is one frame, whose head was read.
func (m *messages) relayWhole() error {
	opcode, payload := m.from.opcode, m.whole(int(m.from.left))
	if err := m.from.readAll(payload); err != nil {
		return err
	}
	if f := m.scanner.Bytes(m.place, m.scratch); f != nil {
		return f
	}
	found, open := m.containers.Next(payload)
	if found != nil {
		return found
	}
	m.before = append(m.before[:0], tail(m.scratch, max(overlap, open))...)
	return m.to.write(opcode, true, payload)
}

// whole makes scratch the end of the data so far with room for n bytes more,
// and returns that room.
func (m *messages) whole(n int) []byte {
	m.scratch = slices.Grow(append(m.scratch[:0], m.before...), n)
	m.scratch = m.scratch[:len(m.before)+n]
	return m.scratch[len(m.before):]
}

// relayControl passes a ping, pong or close whose head was read.
func (m *messages) relayControl() error {
	opcode, payload := m.from.opcode, make([]byte, m.from.left)
	if err := m.from.readAll(payload); err != nil {
		return err
	}
	m.control = tail(append(m.control, payload...), overlap)
	if f := m.scanner.Text(m.place, string(m.control)); f != nil {
		return f
	}
	return m.to.write(opcode, true, payload)
}

// messageReader reads the payload of one message over all its frames, and
// relays the control frames between them.
type messageReader messages

func (r *messageReader) Read(p []byte) (int, error) {
	m := (*messages)(r)
	for m.from.left == 0 {
		if m.from.final {
			return 0, io.EOF
		}
		if err := m.from.next(); err != nil {
			return 0, noEOF(err)
		}
		if m.from.control() {
			if err := m.relayControl(); err != nil {
				return 0, err
			}
			m.from.final, m.from.left = false, 0
			continue
		}
		if m.from.opcode != opContinuation {
			return 0, fmt.Errorf("%w: a message within a message", errFrame)
		}
	}
	return m.from.payload(p)
}

// noEOF makes the end of the connection within a message an error.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func tail(b []byte, most int) []byte { return b[max(0, len(b)-most):] }
