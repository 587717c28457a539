package plan_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"math/big"
	"testing"
	"time"
)

func sha256Hex(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// TestAuthorityServesTLS signs a leaf with the bottle's authority and lets a
// client that trusts the authority connect.
func TestAuthorityServesTLS(t *testing.T) {
	s := newSetting(t, nil)
	s.shell["PIPELOCK_BIN"] = s.write(t, "pipelock", "binary")
	s.options.PipelockSHA256 = sha256Hex("binary")
	p := s.prepare(t)
	outer := input(t, p, "ca.pem")
	for _, name := range []string{"ca", "pipelock-ca"} {
		pair, err := tls.X509KeyPair(input(t, p, name+".pem"), input(t, p, name+"-key.pem"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ca := pair.Leaf
		if life := ca.NotAfter.Sub(ca.NotBefore); !ca.IsCA || life > 31*24*time.Hour || time.Since(ca.NotBefore) < time.Hour {
			t.Errorf("%s: from %v to %v", name, ca.NotBefore, ca.NotAfter)
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(1), DNSNames: []string{"a.example"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		}, ca, key.Public(), pair.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		for trusted, roots := range map[bool][]byte{true: input(t, p, name+".pem"), false: outer} {
			if trusted || name != "ca" {
				if err := handshake(t, tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: key}, roots); (err == nil) != trusted {
					t.Errorf("%s, trusted %v: %v", name, trusted, err)
				}
			}
		}
	}
	if again := s.prepare(t); string(input(t, again, "ca.pem")) == string(outer) {
		t.Error("two bottles share an authority")
	}
}

func handshake(t *testing.T, cert tls.Certificate, roots []byte) error {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			conn.(*tls.Conn).Handshake()
			conn.Close()
		}
	}()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "a.example"})
	if err == nil {
		conn.Close()
	}
	return err
}
