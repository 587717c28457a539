package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// noHash is what the first line of a chain has for the hash of the one before.
var noHash = strings.Repeat("0", hashLen)

// Head is a line of a chain as it is remembered in another one. The chain of a
// bottle's bundle and that of the operator remember each other's heads, so that
// neither can be cut or rewritten without the other one telling. The zero Head
// is the head of a chain without lines.
type Head struct {
	Seq  uint64
	Hash string
	// By says where the head is remembered, for messages; it may be empty.
	By string
}

func (h Head) by() string {
	if h.By == "" {
		return "an anchor"
	}
	return h.By
}

// The members of a record's detail that anchor a head.
const (
	bundleChain  = "bundle_chain"
	bundleSeq    = "bundle_seq"
	bundleHash   = "bundle_hash"
	operatorSeq  = "operator_seq"
	operatorHash = "operator_hash"
)

// AnchorBundle returns detail with the head of a bundle's chain, for a record
// of the operator's chain with that bottle's slug. detail may be nil and stays
// as it is.
func AnchorBundle(detail map[string]any, h Head) map[string]any {
	return anchored(detail, bundleSeq, bundleHash, h)
}

// AnchorRole does the same for the chain of a role that runs in a bundle of its
// own.
func AnchorRole(detail map[string]any, role string, h Head) map[string]any {
	out := AnchorBundle(detail, h)
	out[bundleChain] = role
	return out
}

// AnchorOperator returns detail with the head of the operator's chain, for a
// record of a bundle's chain.
func AnchorOperator(detail map[string]any, h Head) map[string]any {
	return anchored(detail, operatorSeq, operatorHash, h)
}

func anchored(detail map[string]any, seq, hash string, h Head) map[string]any {
	out := make(map[string]any, len(detail)+2)
	maps.Copy(out, detail)
	out[seq], out[hash] = h.Seq, h.Hash
	if h.Hash == "" {
		out[hash] = noHash
	}
	return out
}

// String is the head as ParseHead reads it.
func (h Head) String() string { return fmt.Sprintf("%d:%s", h.Seq, h.Hash) }

var hashForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// ParseHead reads a head that String wrote.
func ParseHead(text string) (Head, error) {
	var h Head
	if _, err := fmt.Sscanf(text, "%d:%64s", &h.Seq, &h.Hash); err != nil || h.String() != text || !hashForm.MatchString(h.Hash) {
		return Head{}, errors.New("not a line's number and hash, as 17:9f86d0…")
	}
	return h, nil
}

// LastHead is the newest line of the chain at path, which is read as hostile
// input and from its end alone. No chain has the zero Head with 64 zeros.
func LastHead(path string) (Head, error) {
	none := Head{Hash: noHash}
	folder, name, err := openFolder(path)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("audit: %w", err)
	}
	defer folder.Close()
	numbers, err := segments(folder, name)
	if err != nil {
		return none, fmt.Errorf("audit: %w", err)
	}
	names := []string{name}
	if len(numbers) > 0 {
		names = append(names, segmentName(name, numbers[len(numbers)-1]))
	}
	for _, name := range names {
		f, err := openAt(folder, name, unix.O_RDONLY)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return none, fmt.Errorf("audit: %w", err)
		}
		_, last, err := lastLine(f)
		_ = f.Close()
		if err == nil && last == nil {
			continue
		}
		var e Entry
		if err == nil {
			e, err = parse(last)
		}
		if err != nil {
			return none, fmt.Errorf("audit: %s: the last line %w", name, err)
		}
		return Head{Seq: e.Seq, Hash: e.Hash}, nil
	}
	return none, nil
}

// Anchor is a line that names a head of another chain.
type Anchor struct {
	// File, Line and Seq are the line's own.
	File string
	Line int
	Seq  uint64
	// Slug and Action are the record's.
	Slug, Action string
	// Bundle tells that Head is of the bundle's chain, else of the operator's;
	// Role, that it is of the chain of a role in a bundle of its own.
	Bundle bool
	Role   string
	Head   Head
}

// maxAnchors bounds the anchors of one report.
const maxAnchors = 1 << 20

// note keeps what a good line anchors, and that a bottle's chain began or was
// removed.
func (r *Report) note(file string, number int, line []byte) {
	if !bytes.Contains(line, []byte(`_hash":`)) && !bytes.Contains(line, []byte(`"action":"`+RemovedAction)) || len(r.Anchors) >= maxAnchors {
		return
	}
	var e Entry
	var detail struct {
		BundleChain  string  `json:"bundle_chain"`
		BundleSeq    *uint64 `json:"bundle_seq"`
		BundleHash   string  `json:"bundle_hash"`
		OperatorSeq  *uint64 `json:"operator_seq"`
		OperatorHash string  `json:"operator_hash"`
	}
	if json.Unmarshal(line, &e) != nil || json.Unmarshal(e.Detail, &detail) != nil {
		return
	}
	a := Anchor{File: file, Line: number, Seq: e.Seq, Slug: e.Slug, Action: e.Action}
	by := fmt.Sprintf("%s line %d", file, number)
	if detail.BundleSeq != nil || e.Action == RemovedAction {
		bundle := a
		bundle.Bundle, bundle.Role = true, detail.BundleChain
		if detail.BundleSeq != nil {
			bundle.Head = Head{*detail.BundleSeq, detail.BundleHash, by}
		}
		r.Anchors = append(r.Anchors, bundle)
	}
	if detail.OperatorSeq != nil {
		a.Head = Head{*detail.OperatorSeq, detail.OperatorHash, by}
		r.Anchors = append(r.Anchors, a)
	}
}
