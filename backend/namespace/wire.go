//go:build linux

package namespace

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// The largest messages. What comes out of a bottle is bounded tightly.
const (
	maxRequest = 32 << 20
	maxEvent   = 64 << 10
	maxFiles   = 8
)

// wire carries JSON messages and open files over a unix socket: four bytes of
// length, big-endian, then the message; files travel with the length. Writing
// is safe for concurrent use, reading is for one goroutine.
type wire struct {
	conn  *net.UnixConn
	limit int // of messages read
	write sync.Mutex
}

// newWire takes over a socket.
func newWire(socket *os.File, limit int) (*wire, error) {
	defer socket.Close()
	conn, err := net.FileConn(socket)
	if err != nil {
		return nil, err
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, errors.New("not a unix socket")
	}
	return &wire{conn: unixConn, limit: limit}, nil
}

// wirePair returns both ends of a new connection.
func wirePair() (ours, theirs *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	return os.NewFile(uintptr(pair[0]), "control"), os.NewFile(uintptr(pair[1]), "control"), nil
}

// send sends a message and copies of files; the caller keeps its own.
func (w *wire) send(message any, files ...*os.File) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	frame = append(frame, body...)
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, file := range files {
			fds[i] = int(file.Fd())
		}
		rights = unix.UnixRights(fds...)
	}

	w.write.Lock()
	defer w.write.Unlock()
	n, oobn, err := w.conn.WriteMsgUnix(frame, rights, nil)
	if err != nil {
		return err
	}
	if oobn != len(rights) {
		return errors.New("not all files were sent")
	}
	if n < len(frame) { // an empty write would fail when the other end, served, has gone
		_, err = w.conn.Write(frame[n:])
	}
	return err
}

// receive reads one message. The files that came with it belong to the caller;
// they are close-on-exec.
func (w *wire) receive(message any) ([]*os.File, error) {
	var header [4]byte
	files, err := w.receiveHeader(header[:])
	if err != nil {
		return nil, err
	}
	body, err := w.receiveBody(header)
	if err == nil {
		err = json.Unmarshal(body, message)
	}
	if err != nil {
		closeAll(files)
		return nil, err
	}
	return files, nil
}

func (w *wire) receiveHeader(header []byte) (files []*os.File, err error) {
	oob := make([]byte, unix.CmsgSpace(maxFiles*4))
	for got := 0; got < len(header); {
		n, oobn, _, _, err := w.conn.ReadMsgUnix(header[got:], oob)
		files = append(files, rightsOf(oob[:oobn])...)
		if n == 0 && err == nil {
			err = io.EOF
		}
		if err != nil {
			closeAll(files)
			return nil, err
		}
		got += n
	}
	return files, nil
}

func (w *wire) receiveBody(header [4]byte) ([]byte, error) {
	length := binary.BigEndian.Uint32(header[:])
	if int64(length) > int64(w.limit) {
		return nil, fmt.Errorf("a message of %d bytes is over the limit of %d", length, w.limit)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(w.conn, body); err != nil {
		return nil, fmt.Errorf("a message ended early: %w", err)
	}
	return body, nil
}

func (w *wire) close() error { return w.conn.Close() }

func rightsOf(oob []byte) []*os.File {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files
}

func closeAll(files []*os.File) {
	for _, file := range files {
		file.Close()
	}
}
