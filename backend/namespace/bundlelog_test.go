//go:build linux

package namespace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An agent cannot fill the disk through what the bundle says of it.
func TestBundleLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle.log")
	const full = "first\nseco\nthe log is full; nothing more is written\n"
	for _, want := range []string{full, full} {
		log, err := openBundleLog(path, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"first\n", "second\n", strings.Repeat("x", 1000)} {
			if n, err := log.Write([]byte(line)); n != len(line) || err != nil {
				t.Errorf("%d %v", n, err)
			}
		}
		log.file.Close()
		if content, err := os.ReadFile(path); string(content) != want || err != nil {
			t.Errorf("%q %v", content, err)
		}
	}
}
