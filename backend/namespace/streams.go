//go:build linux

package namespace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// streams of a command, made inside so that the agent owns them and no
// descriptor of the host ever comes in.
type streams struct {
	innerFiles []*os.File // stdin, stdout, stderr; or the terminal
	outer      []*os.File // stdin's writing end, stdout's and stderr's reading ends; or the master
}

// inner are the descriptors of the command.
func (s streams) inner() []uintptr {
	if len(s.innerFiles) == 1 {
		terminal := s.innerFiles[0].Fd()
		return []uintptr{terminal, terminal, terminal}
	}
	var fds []uintptr
	for _, file := range s.innerFiles {
		fds = append(fds, file.Fd())
	}
	return fds
}

func openStreams(c command) (streams, error) {
	if c.Terminal {
		return openTerminal(c)
	}
	var s streams
	for i := range 3 {
		var pair [2]int
		if err := unix.Pipe2(pair[:], unix.O_CLOEXEC); err != nil {
			closeAll(s.innerFiles)
			closeAll(s.outer)
			return streams{}, fmt.Errorf("pipe: %w", err)
		}
		read, write := os.NewFile(uintptr(pair[0]), "pipe"), os.NewFile(uintptr(pair[1]), "pipe")
		if i == 0 {
			s.innerFiles, s.outer = append(s.innerFiles, read), append(s.outer, write)
		} else {
			s.innerFiles, s.outer = append(s.innerFiles, write), append(s.outer, read)
		}
	}
	return s, nil
}

// openTerminal makes a pseudo-terminal of the bottle's own.
func openTerminal(c command) (streams, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return streams{}, fmt.Errorf("open a terminal: %w", err)
	}
	master := os.NewFile(uintptr(fd), "terminal")
	number, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil && c.Size.Rows > 0 {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: c.Size.Rows, Col: c.Size.Cols})
	}
	var slave int
	if err == nil {
		slave, err = unix.Open("/dev/pts/"+strconv.Itoa(int(number)), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		master.Close()
		return streams{}, fmt.Errorf("open a terminal: %w", err)
	}
	return streams{[]*os.File{os.NewFile(uintptr(slave), "terminal")}, []*os.File{master}}, nil
}

// lookUp finds the command's program as a shell would, in the PATH of its own
// environment; code is what a shell would exit with.
func lookUp(c command) (path string, code int, err error) {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return "", 127, errors.New("no command")
	}
	name := c.Argv[0]
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(c.Dir, name)
		}
		code, err := executable(name)
		return name, code, err
	}
	var found error
	for _, entry := range c.Env {
		list, ok := strings.CutPrefix(entry, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(list) {
			path := filepath.Join(dir, name)
			code, err := executable(path)
			if err == nil {
				return path, 0, nil
			}
			if code == 126 {
				found = err
			}
		}
	}
	if found != nil {
		return "", 126, found
	}
	return "", 127, fmt.Errorf("%s: command not found in the bottle, which has the host's /usr and your workspace but nothing of your home folder", name)
}

func executable(path string) (code int, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 127, fmt.Errorf("%s: no such file in the bottle", path)
	case err != nil:
		return 126, err
	case info.IsDir():
		return 126, fmt.Errorf("%s: is a folder", path)
	}
	if err := unix.Access(path, unix.X_OK); err != nil {
		return 126, fmt.Errorf("%s: %w", path, err)
	}
	return 0, nil
}
