package main

import (
	"time"

	"github.com/claude-bottle/claude-bottle/control"
	"github.com/claude-bottle/claude-bottle/replay"
)

// replayed decides the bottle's recorded refusals again with the route that a
// proposal asks for; nil when it asks for none, is answered, or the refusals,
// which the bundle keeps, cannot be read.
func (a *app) replayed(slug string, r control.Review) (*replay.Result, error) {
	if r.Route == nil || r.Response != nil {
		return nil, nil
	}
	home, err := a.dir()
	if err != nil {
		return nil, err
	}
	refusals, err := replay.Load(home.Dir(slug).Audit())
	if err != nil {
		sayNoReplay(err)
		return nil, nil
	}
	result, err := replay.JudgeRoute(refusals, r.Live, *r.Route, replay.AskedBy(r.Proposal), time.Now(), nil)
	return &result, err
}
