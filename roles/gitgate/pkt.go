package gitgate

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// maxPkt is the longest pkt-line that git sends, length included.
const maxPkt = 65520

// pktKind tells pkt-lines with content from those that separate.
type pktKind uint8

const (
	pktData  pktKind = iota
	pktFlush         // 0000
	pktDelim         // 0001, protocol version 2
	pktEnd           // 0002, protocol version 2
)

// readPkt reads one pkt-line and no byte more. io.EOF means that r ended before
// it. go-git's reader takes an empty line for a flush, git does not; what
// decides on a push must not be read in two ways.
func readPkt(r io.Reader) ([]byte, pktKind, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("a pkt-line is cut short")
		}
		return nil, 0, err
	}
	length, err := strconv.ParseUint(string(head[:]), 16, 16)
	if err != nil || head[0] == '+' {
		return nil, 0, fmt.Errorf("%q is no length of a pkt-line", head)
	}
	switch {
	case length < 3:
		return nil, [...]pktKind{pktFlush, pktDelim, pktEnd}[length], nil
	case length < 4 || length > maxPkt:
		return nil, 0, fmt.Errorf("%d is no length of a pkt-line", length)
	}
	line := make([]byte, length-4)
	if _, err := io.ReadFull(r, line); err != nil {
		return nil, 0, errors.New("a pkt-line is cut short")
	}
	return line, pktData, nil
}
