package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"testing"

	"github.com/containerd/errdefs"
)

// A folder that was read at once is read like the one in the container: along
// links of every kind, and not beyond.
func TestTree(t *testing.T) {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for _, e := range []tar.Header{
		{Name: "etc/", Typeflag: tar.TypeDir},
		{Name: "etc/passwd", Typeflag: tar.TypeReg, Size: 4},
		{Name: "etc/twin", Typeflag: tar.TypeLink, Linkname: "etc/passwd"},
		{Name: "etc/pki/", Typeflag: tar.TypeDir},
		{Name: "etc/pki/roots.pem", Typeflag: tar.TypeReg, Size: 4},
		{Name: "etc/ssl/", Typeflag: tar.TypeDir},
		{Name: "etc/ssl/certs", Typeflag: tar.TypeSymlink, Linkname: "../pki"},
		{Name: "etc/ssl/cert.pem", Typeflag: tar.TypeSymlink, Linkname: "/etc/ssl/certs/roots.pem"},
		{Name: "etc/outside", Typeflag: tar.TypeSymlink, Linkname: "../usr/lib/os-release"},
		{Name: "etc/above", Typeflag: tar.TypeSymlink, Linkname: "../../../../usr"},
		{Name: "etc/loop", Typeflag: tar.TypeSymlink, Linkname: "loop"},
		{Name: "etc/tty", Typeflag: tar.TypeChar},
	} {
		if err := writer.WriteHeader(&e); err != nil {
			t.Fatal(err)
		}
		if e.Size > 0 {
			if _, err := writer.Write([]byte("text")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	etc := tree{top: "/etc", entries: map[string]entry{}}
	if err := etc.fill(&archive); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		"/etc/passwd": nil, "/etc/twin": nil, "/etc/ssl/certs/roots.pem": nil, "/etc/ssl/cert.pem": nil,
		"/etc/none": errdefs.ErrNotFound, "/etc/passwd/none": errdefs.ErrNotFound, "/etc/ssl": errdefs.ErrNotFound, "/etc/tty": errdefs.ErrNotFound,
		"/etc/outside": errOutside, "/etc/above/x": errOutside, "/etcetera": errOutside,
	} {
		content, err := etc.read(name)
		if !errors.Is(err, want) || (want == nil) != (string(content) == "text") {
			t.Errorf("%s: %q %v, want %v", name, content, err, want)
		}
	}
	if _, err := etc.read("/etc/loop"); err == nil {
		t.Error("a loop ends nowhere and is no error")
	}
}
