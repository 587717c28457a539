package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestTheFingerprintKeyStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "fingerprint.key")
	first, err := fingerprintKey(path)
	if err != nil || len(first) != keyBytes {
		t.Fatalf("%d bytes, %v", len(first), err)
	}
	if again, err := fingerprintKey(path); err != nil || !bytes.Equal(again, first) {
		t.Errorf("the second start has another key: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if other, err := fingerprintKey(filepath.Join(t.TempDir(), "fingerprint.key")); err != nil || bytes.Equal(other, first) {
		t.Errorf("another bottle has the same key: %v", err)
	}
	if err := os.WriteFile(path, first[:7], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := fingerprintKey(path); err == nil {
		t.Error("a short key is no error")
	}
}
