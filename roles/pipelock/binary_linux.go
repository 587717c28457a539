package pipelock

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// maxProgram bounds the program's size in bytes.
const maxProgram = 1 << 30

// pinned returns an unchangeable copy in memory of the program at path, made
// of exactly the bytes whose SHA-256 is pin. Errors match ErrPin.
func pinned(path, pin string) (*os.File, error) {
	program, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: the program cannot be read: %w", ErrPin, err)
	}
	defer program.Close()
	if info, err := program.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is no regular file", ErrPin, path)
	}
	copied, err := inMemory("program", unix.MFD_EXEC)
	if err != nil {
		return nil, err
	}
	if err := fill(copied, program, path, pin); err != nil {
		copied.Close()
		return nil, err
	}
	return copied, nil
}

// fill copies, hashes what was copied, and seals it.
func fill(copied, program *os.File, path, pin string) error {
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(copied, hash), io.LimitReader(program, maxProgram+1))
	if err != nil {
		return fmt.Errorf("copy %s: %w", path, err)
	}
	if n > maxProgram {
		return fmt.Errorf("%w: %s is longer than %d bytes", ErrPin, path, maxProgram)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != pin {
		return fmt.Errorf("%w: %s has SHA-256 %s, but only %s may run", ErrPin, path, got, pin)
	}
	return seal(copied, 0o500)
}
