package agentenv

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// rootFiles is where systems keep their trusted roots.
var rootFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Alpine, Arch
	"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora
	"/etc/ssl/ca-bundle.pem",                            // openSUSE
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // RHEL
	"/etc/ssl/cert.pem",                                 // macOS, BSD
}

// HostRoots returns the host's trusted roots in PEM; nil where it has none.
func HostRoots() ([]byte, error) {
	for _, path := range rootFiles {
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the host's trusted roots: %w", err)
		}
		return content, nil
	}
	return nil, nil
}

func mergeRoots(roots, ca []byte) []byte {
	merged := bytes.Clone(roots)
	if len(merged) > 0 && !bytes.HasSuffix(merged, []byte("\n")) {
		merged = append(merged, '\n')
	}
	return append(merged, ca...)
}
