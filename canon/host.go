package canon

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// Limits of RFC 1035, section 2.3.4, without the root's dot.
const (
	maxName  = 253
	maxLabel = 63
)

// Host is a canonical host name or IP literal. The zero Host is no host.
// Two hosts are the same exactly when == says so.
type Host struct {
	name string
	ip   netip.Addr
}

// String is the form that is dialled: IPv6 without brackets.
func (h Host) String() string { return h.name }

// IP returns the address of an IP literal.
func (h Host) IP() (netip.Addr, bool) { return h.ip, h.ip.IsValid() }

// strict validates labels and maps nothing: a host that needs mapping beyond
// ASCII case has two spellings, and the other one is refused.
var strict = idna.New(
	idna.BidiRule(),
	idna.CheckJoiners(true),
	idna.StrictDomainName(true),
	idna.ValidateLabels(true),
	idna.VerifyDNSLength(true),
)

// ParseHost returns the canonical form of a host without port: lower case,
// A-labels, at most one trailing dot, which is dropped; IPv6 with or without
// brackets. Underscores are allowed in names.
// Errors wrap ErrMalformed or ErrIPForm.
func ParseHost(s string) (Host, error) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if !ok || !strings.Contains(inner, ":") {
			return Host{}, fmt.Errorf("host %q: brackets belong around an IPv6 address: %w", clip(s), ErrMalformed)
		}
		return parseIPv6(inner)
	}
	if strings.Contains(s, ":") {
		return parseIPv6(s)
	}
	name, err := asciiName(s)
	if err != nil {
		return Host{}, err
	}
	if numeric(name[strings.LastIndexByte(name, '.')+1:]) {
		return parseIPv4(s, name)
	}
	return Host{name: name}, nil
}

func parseIPv6(s string) (Host, error) {
	lower := lowerASCII(s)
	ip, err := netip.ParseAddr(lower)
	switch {
	case err != nil:
		return Host{}, fmt.Errorf("host %q is neither a name nor an IPv6 address: %w", clip(s), ErrMalformed)
	case ip.Zone() != "" || ip.Is4In6() || ip.String() != lower:
		return Host{}, fmt.Errorf("host %q: write the address as %q: %w", clip(s), ip.WithZone("").Unmap(), ErrIPForm)
	}
	return Host{name: lower, ip: ip}, nil
}

// parseIPv4 reads a name whose last label is a number, which no domain name
// has: resolvers take it for an address.
func parseIPv4(s, name string) (Host, error) {
	ip, err := netip.ParseAddr(name)
	if err == nil && ip.String() == s {
		return Host{name: name, ip: ip}, nil
	}
	labels := 0
	for label := range strings.SplitSeq(name, ".") {
		labels++
		if labels > 4 || !numeric(label) {
			return Host{}, fmt.Errorf("host %q: the last label of a name cannot be a number: %w", clip(s), ErrMalformed)
		}
	}
	return Host{}, fmt.Errorf("host %q: write an IPv4 address as four decimal numbers: %w", clip(s), ErrIPForm)
}

// numeric reports whether inet_aton reads the label as a number: decimal,
// octal, or hexadecimal after 0x.
func numeric(label string) bool {
	digits, hex := strings.CutPrefix(label, "0x")
	if label == "" {
		return false
	}
	for i := range len(digits) {
		c := digits[i]
		if !('0' <= c && c <= '9' || hex && 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}

// asciiName is the name in lower case and A-labels, without trailing dot.
func asciiName(s string) (string, error) {
	name := strings.TrimSuffix(lowerASCII(s), ".")
	if !isASCII(name) || strings.Contains(name, "xn--") {
		var err error
		if name, err = international(name); err != nil {
			return "", fmt.Errorf("host %q: %w: %w", clip(s), err, ErrMalformed)
		}
	}
	if why := badName(name); why != "" {
		return "", fmt.Errorf("host %q: %s: %w", clip(s), why, ErrMalformed)
	}
	return name, nil
}

// international returns the A-label form of a name, provided that each label
// survives the way to Unicode and back.
func international(name string) (string, error) {
	labels := strings.Split(name, ".")
	for i, label := range labels {
		ascii, err := aLabel(label)
		if err != nil {
			return "", err
		}
		labels[i] = ascii
	}
	return strings.Join(labels, "."), nil
}

// aLabel is the ASCII form of one label.
func aLabel(label string) (string, error) {
	if isASCII(label) && !strings.HasPrefix(label, "xn--") {
		return label, nil
	}
	ascii, err := strict.ToASCII(label)
	if err != nil {
		return "", err
	}
	unicode, err := strict.ToUnicode(ascii)
	if err != nil {
		return "", err
	}
	back, err := strict.ToASCII(unicode)
	if err != nil {
		return "", err
	}
	if isASCII(unicode) || back != ascii || strings.Contains(ascii, ".") {
		return "", fmt.Errorf("label %q is not in its own IDNA form", label)
	}
	return ascii, nil
}

// badName says what is wrong with a lower-case ASCII name; "" is nothing.
func badName(name string) string {
	switch {
	case name == "":
		return "empty"
	case len(name) > maxName:
		return fmt.Sprintf("longer than %d bytes", maxName)
	}
	start := 0
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '.' {
			c := name[i]
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return fmt.Sprintf("byte 0x%02x does not belong in a name", c)
			}
			continue
		}
		switch {
		case i == start:
			return "empty label"
		case i-start > maxLabel:
			return fmt.Sprintf("a label is longer than %d bytes", maxLabel)
		case name[start] == '-' || name[i-1] == '-':
			return "a label starts or ends with a hyphen"
		}
		start = i + 1
	}
	return ""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// lowerASCII lowers A-Z alone: strings.ToLower would map the Kelvin sign to k.
func lowerASCII(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if 'A' <= b[j] && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// clip keeps an error short whatever the agent sent.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
