package audit

import (
	"fmt"
	"slices"
)

// RemovedAction is the action of the operator's record that a bottle's chain
// was removed: a bottle that has the slug later begins a new one.
const RemovedAction = "cleanup"

// Heads are the heads of a bottle's chain that the operator's chain, which the
// report is of, remembers; removed tells that the operator removed it since. A
// role names the chain of one that runs in a bundle of its own, "" the bundle's.
func (r Report) Heads(slug, role string) (heads []Head, removed bool) {
	for _, a := range r.Anchors {
		switch {
		case !a.Bundle || a.Slug != slug || a.Role != role && a.Action != RemovedAction:
		case a.Action == RemovedAction:
			heads, removed = nil, true
		default:
			removed = false
			if a.Head.Seq > 0 {
				heads = append(heads, a.Head)
			}
		}
	}
	return heads, removed
}

// Slugs are the bottles whose heads the operator's chain remembers, by name.
func (r Report) Slugs() []string {
	var slugs []string
	for _, a := range r.Anchors {
		if a.Bundle {
			slugs = append(slugs, a.Slug)
		}
	}
	slices.Sort(slugs)
	return slices.Compact(slugs)
}

// VerifyBundle verifies the chain at path against the heads that the
// operator's chain remembers of it, and the operator's heads that it names
// against the operator's chain at operator.
func VerifyBundle(path, operator string, heads ...Head) (Report, error) {
	report, err := Verify(path, heads...)
	if err != nil || report.Broken != nil {
		return report, err
	}
	wanted := make(map[uint64][]Anchor)
	for _, a := range report.Anchors {
		if !a.Bundle && a.Head.Seq > 0 {
			wanted[a.Head.Seq] = append(wanted[a.Head.Seq], a)
		}
	}
	if len(wanted) == 0 {
		return report, nil
	}
	err = Read(operator, func(e Entry) error {
		wanted[e.Seq] = slices.DeleteFunc(wanted[e.Seq], func(a Anchor) bool { return a.Head.Hash == e.Hash })
		return nil
	})
	if err != nil {
		return report, fmt.Errorf("the operator's chain: %w", err)
	}
	for _, a := range report.Anchors {
		if !a.Bundle && slices.ContainsFunc(wanted[a.Head.Seq], func(w Anchor) bool { return w.Seq == a.Seq }) {
			report.Broken = &Break{File: a.File, Line: a.Line, Seq: a.Seq,
				Why: fmt.Sprintf("names seq %d of the operator's chain, which is not there or another line: one of the two was cut or rewritten", a.Head.Seq)}
			return report, nil
		}
	}
	return report, nil
}
