package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

const (
	hashLen  = 2 * sha256.Size
	hashHead = `,"hash":"`
	// hashTail is the length of the hash member and the closing brace.
	hashTail = len(hashHead) + hashLen + len(`"}`)
	// maxLine is longer than any line this package writes.
	maxLine = 256 << 10
)

// Entry is one line of a chain.
type Entry struct {
	Seq      uint64          `json:"seq"`
	Time     time.Time       `json:"time"`
	Slug     string          `json:"slug"`
	Actor    string          `json:"actor"`
	Action   string          `json:"action"`
	Decision string          `json:"decision"`
	Detail   json.RawMessage `json:"detail"`
	Prev     string          `json:"prev"`
	Hash     string          `json:"hash"`
}

// appendLine appends one line, newline included, and returns its hash. body is
// the members from slug to detail.
func appendLine(buf []byte, seq uint64, now time.Time, body []byte, prev string) (line []byte, hash string) {
	begin := len(buf)
	buf = append(buf, `{"seq":`...)
	buf = strconv.AppendUint(buf, seq, 10)
	buf = append(buf, `,"time":"`...)
	buf = now.UTC().AppendFormat(buf, time.RFC3339Nano)
	buf = append(buf, `",`...)
	buf = append(buf, body...)
	buf = append(buf, `,"prev":"`...)
	buf = append(buf, prev...)
	buf = append(buf, `"}`...)
	sum := sha256.Sum256(buf[begin:])
	buf = append(buf[:len(buf)-1], hashHead...)
	at := len(buf)
	buf = hex.AppendEncode(buf, sum[:])
	hash = string(buf[at:])
	return append(buf, "\"}\n"...), hash
}

var (
	errNoRecord = errors.New("is no audit record")
	errChanged  = errors.New("was changed: its hash does not match its bytes")
)

// parse reads a line, given without its newline, and checks its hash.
func parse(line []byte) (Entry, error) {
	var e Entry
	if len(line) > maxLine || len(line) < hashTail {
		return e, errNoRecord
	}
	cut := len(line) - hashTail
	if !bytes.HasPrefix(line[cut:], []byte(hashHead)) || !bytes.HasSuffix(line, []byte(`"}`)) {
		return e, errNoRecord
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return e, fmt.Errorf("%w: %w", errNoRecord, err)
	}
	h := sha256.New()
	_, _ = h.Write(line[:cut])
	_, _ = h.Write([]byte("}"))
	if hex.EncodeToString(h.Sum(nil)) != string(line[cut+len(hashHead):len(line)-2]) {
		return e, errChanged
	}
	return e, nil
}
