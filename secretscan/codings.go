package secretscan

// The alphabets, as the value of each character, 0xff for any other.
var (
	base64Value = alphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "-+", "_/")
	base32Value = alphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "aA", "bB", "cC", "dD", "eE", "fF", "gG", "hH", "iI",
		"jJ", "kK", "lL", "mM", "nN", "oO", "pP", "qQ", "rR", "sS", "tT", "uU", "vV", "wW", "xX", "yY", "zZ")
	hexValue = alphabet("0123456789abcdef", "Aa", "Bb", "Cc", "Dd", "Ee", "Ff")
)

func alphabet(characters string, same ...string) *[256]byte {
	var table [256]byte
	for i := range table {
		table[i] = 0xff
	}
	for i := range len(characters) {
		table[characters[i]] = byte(i)
	}
	for _, pair := range same {
		table[pair[0]] = table[pair[1]]
	}
	return &table
}

// coding is how characters of a run become bytes.
type coding struct {
	values  *[256]byte
	bits    int
	offsets int // characters at which decoding may begin, as far as known
}

var (
	base64Coding = coding{base64Value, 6, 4}
	base32Coding = coding{base32Value, 5, 1}
	hexCoding    = coding{hexValue, 4, 2}
)

// decode appends what characters give to out, passing over line breaks.
func (c coding) decode(out, characters []byte) []byte {
	acc, have := uint32(0), 0
	for i := 0; i < len(characters); i++ {
		if have == 0 {
			out, i = c.groups(out, characters, i)
			if i == len(characters) {
				break
			}
		}
		v := c.values[characters[i]]
		if v == 0xff {
			continue
		}
		acc = acc<<c.bits | uint32(v)
		if have += c.bits; have >= 8 {
			have -= 8
			out = append(out, byte(acc>>have))
		}
	}
	return out
}

// groups is decode for the characters from i on that give whole bytes together.
// It returns where it stopped, at the end or at a stranger.
func (c coding) groups(out, characters []byte, i int) ([]byte, int) {
	switch values := c.values; c.bits {
	case 4:
		for ; i+2 <= len(characters); i += 2 {
			v0, v1 := values[characters[i]], values[characters[i+1]]
			if (v0|v1)&0x80 != 0 {
				break
			}
			out = append(out, v0<<4|v1)
		}
	case 6:
		for ; i+4 <= len(characters); i += 4 {
			v0, v1 := values[characters[i]], values[characters[i+1]]
			v2, v3 := values[characters[i+2]], values[characters[i+3]]
			if (v0|v1|v2|v3)&0x80 != 0 {
				break
			}
			out = append(out, v0<<2|v1>>4, v1<<4|v2>>2, v2<<6|v3)
		}
	}
	return out, i
}

// runKind tells what a run can be.
type runKind struct{ hex, base32 bool }

func classify(run []byte) runKind {
	all := isHex | isBase32
	for _, c := range run {
		if all &= runClass[c]; all == 0 {
			break
		}
	}
	return runKind{all&isHex != 0, all&isBase32 != 0}
}

const (
	isHex uint8 = 1 << iota
	isBase32
)

var runClass = func() (table [256]uint8) {
	for i := range table {
		c := byte(i)
		if hexValue[c] != 0xff {
			table[c] |= isHex
		}
		if base32Value[c] != 0xff {
			table[c] |= isBase32
		}
	}
	return table
}()
