package egress

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/claude-bottle/claude-bottle/canon"
)

const (
	leafLife = 7 * 24 * time.Hour
	// leafSpare is how long before its end a certificate is made anew.
	leafSpare = time.Hour
	maxLeaves = 1024
)

// leaves issues and keeps the certificates that the agent is shown. They share
// one key, which never leaves the process.
type leaves struct {
	authority *x509.Certificate
	signer    crypto.Signer
	key       *ecdsa.PrivateKey
	cache     *lru.Cache[canon.Host, *tls.Certificate]
	config    *tls.Config
}

// loadAuthority reads the authority's PEM files. It never makes one.
func loadAuthority(certPath, keyPath string) (*leaves, error) {
	pair, err := tls.LoadX509KeyPair(certPath, keyPath)
	if err != nil {
		return nil, fmt.Errorf("the authority that the agent trusts cannot be loaded, and none is made in its place; see EGRESS_CA_CERT and EGRESS_CA_KEY: %w", err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	switch {
	case !ok:
		return nil, fmt.Errorf("the key %s cannot sign", keyPath)
	case !pair.Leaf.IsCA:
		return nil, fmt.Errorf("the certificate %s is not that of an authority", certPath)
	case time.Now().After(pair.Leaf.NotAfter):
		return nil, fmt.Errorf("the authority %s ended on %s: make a new one", certPath, pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	cache, err := lru.New[canon.Host, *tls.Certificate](maxLeaves)
	l := &leaves{authority: pair.Leaf, signer: signer, key: key, cache: cache}
	l.config = l.tlsConfig()
	return l, err
}

// leaf is a certificate for host.
func (l *leaves) leaf(host canon.Host) (*tls.Certificate, error) {
	now := time.Now()
	if cached, ok := l.cache.Get(host); ok && now.Add(leafSpare).Before(cached.Leaf.NotAfter) {
		return cached, nil
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"claude-bottle"}},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(leafLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if l.authority.NotAfter.Before(template.NotAfter) {
		template.NotAfter = l.authority.NotAfter
	}
	if ip, ok := host.IP(); ok {
		template.IPAddresses = []net.IP{ip.AsSlice()}
	} else {
		template.DNSNames = []string{host.String()}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, l.authority, l.key.Public(), l.signer)
	if err != nil {
		return nil, fmt.Errorf("certificate for %s: %w", host, err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate for %s: %w", host, err)
	}
	made := &tls.Certificate{Certificate: [][]byte{der, l.authority.Raw}, PrivateKey: l.key, Leaf: parsed}
	l.cache.Add(host, made)
	return made, nil
}

// trust is which authorities origins are believed by.
type trust struct {
	origins   *x509.CertPool
	inspected *x509.CertPool // through pipelock, hosts that it inspects
}

func loadTrust(upstreamPath, pipelockPath string) (trust, error) {
	origins, err := x509.SystemCertPool()
	if err != nil {
		origins = x509.NewCertPool()
	}
	if err := addRoots(origins, upstreamPath); err != nil {
		return trust{}, err
	}
	inspected := origins.Clone()
	return trust{origins, inspected}, addRoots(inspected, pipelockPath)
}

func addRoots(pool *x509.CertPool, path string) error {
	if path == "" {
		return nil
	}
	pem, err := readFile(path, 16<<20)
	if err != nil {
		return fmt.Errorf("trusted roots: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("trusted roots %s: %w", path, errors.New("no certificate in PEM"))
	}
	return nil
}
