package egress

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// The opcodes of RFC 6455, section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa

	frameFinal  = 0x80
	frameMasked = 0x80
	maxControl  = 125
	closePolicy = 1008 // the close code of a policy violation
)

// errFrame is a breach of the WebSocket protocol.
var errFrame = errors.New("websocket: the frames break the protocol")

// frameReader reads the frames of one side.
type frameReader struct {
	r      *bufio.Reader
	masked bool // as this side's frames must be

	opcode byte // of the frame whose payload comes next
	final  bool
	left   uint64
	mask   [4]byte
	at     int // into mask
}

// next reads a frame's head.
func (f *frameReader) next() error {
	var head [2]byte
	if _, err := io.ReadFull(f.r, head[:]); err != nil {
		return err
	}
	f.opcode, f.final = head[0]&0x0f, head[0]&frameFinal != 0
	switch {
	case head[0]&0x70 != 0:
		return fmt.Errorf("%w: a reserved bit is set", errFrame)
	case (head[1]&frameMasked != 0) != f.masked:
		return fmt.Errorf("%w: wrong masking", errFrame)
	case f.opcode > opBinary && f.opcode < opClose || f.opcode > opPong:
		return fmt.Errorf("%w: unknown opcode", errFrame)
	}
	f.left = uint64(head[1] & 0x7f)
	var extended [8]byte
	switch f.left {
	case 126:
		if _, err := io.ReadFull(f.r, extended[6:]); err != nil {
			return err
		}
		f.left = binary.BigEndian.Uint64(extended[:])
	case 127:
		if _, err := io.ReadFull(f.r, extended[:]); err != nil {
			return err
		}
		f.left = binary.BigEndian.Uint64(extended[:])
	}
	if f.left>>63 != 0 || f.control() && (f.left > maxControl || !f.final) {
		return fmt.Errorf("%w: a frame of that kind cannot be that long", errFrame)
	}
	f.mask, f.at = [4]byte{}, 0
	if f.masked {
		if _, err := io.ReadFull(f.r, f.mask[:]); err != nil {
			return err
		}
	}
	return nil
}

func (f *frameReader) control() bool { return f.opcode >= opClose }

// payload reads unmasked bytes of the present frame; 0 and nil at its end.
func (f *frameReader) payload(p []byte) (int, error) {
	if f.left == 0 {
		return 0, nil
	}
	n, err := f.r.Read(p[:min(uint64(len(p)), f.left)])
	for i := range p[:n] {
		p[i] ^= f.mask[f.at&3]
		f.at++
	}
	f.left -= uint64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// readAll fills p from the payload of the present frame.
func (f *frameReader) readAll(p []byte) error {
	for len(p) > 0 {
		n, err := f.payload(p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// frameWriter writes frames to one side. It may be used by both directions.
type frameWriter struct {
	mu     sync.Mutex
	w      io.Writer
	masked bool      // as frames to this side must be
	count  func(int) // hears of the payload's bytes; nil = nobody
	frame  []byte
}

func (f *frameWriter) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.w.Write(p)
}

// write sends one frame.
func (f *frameWriter) write(opcode byte, final bool, payload []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if final {
		opcode |= frameFinal
	}
	var bit byte
	if f.masked {
		bit = frameMasked
	}
	b := append(f.frame[:0], opcode)
	switch n := len(payload); {
	case n < 126:
		b = append(b, bit|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, bit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, bit|127), uint64(n))
	}
	if f.masked {
		var mask [4]byte
		_, _ = rand.Read(mask[:]) // never fails
		b = append(b, mask[:]...)
		for i, c := range payload {
			b = append(b, c^mask[i&3])
		}
	} else {
		b = append(b, payload...)
	}
	f.frame = b
	if f.count != nil {
		f.count(len(payload))
	}
	_, err := f.w.Write(b)
	return err
}

// close ends the connection for a violation of the policy.
func (f *frameWriter) close(reason string) error {
	payload := binary.BigEndian.AppendUint16(nil, closePolicy)
	return f.write(opClose, true, append(payload, reason[:min(len(reason), maxControl-2)]...))
}
