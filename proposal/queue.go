package proposal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// MaxOpen is how many proposals of a bottle may wait for an answer.
const MaxOpen = 20

var (
	// ErrFull says that MaxOpen proposals wait already.
	ErrFull = fmt.Errorf("%d proposals already wait for the operator: wait for answers before you ask for more", MaxOpen)
	// ErrUnknown says that there is no such proposal.
	ErrUnknown = errors.New("no such proposal")
	// ErrAnswered says that a proposal has its answer already.
	ErrAnswered = errors.New("the proposal is answered already")
	// ErrDecided says that another decision on the proposal is being applied.
	ErrDecided = errors.New("another decision on the proposal is being applied")
)

// Options of Create. Slug is needed, the rest has usable zero values.
type Options struct {
	// Slug is the bottle's identity.
	Slug string
	// Redact takes secrets out of what is stored; nil leaves it as it is.
	Redact func(string) string
	// Filing runs before a proposal is filed, so that it is on record first;
	// its error refuses the proposal. Nil = nobody asks.
	Filing func(Proposal) error
	// Report hears of each broken or forged file once; nil = nobody.
	Report func(error)
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Queue is a queue's folder. It holds no state of its own, so several may be
// open on one folder, in one process or many. It is safe for concurrent use.
type Queue struct {
	folder
	o Options

	mu sync.Mutex // with the folder's lock, around what changes it

	reports  sync.Mutex
	reported map[string]bool // guarded by reports
}

// Create opens the bundle's side of the queue at dir and makes the folder if
// need be.
func Create(dir string, o Options) (*Queue, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	q, err := open(dir, o)
	if err != nil {
		return nil, err
	}
	if err := q.root.Mkdir(archiveDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, errors.Join(fmt.Errorf("queue: %w", err), q.Close())
	}
	if err := q.repair(); err != nil {
		return nil, errors.Join(fmt.Errorf("queue: %w", err), q.Close())
	}
	return q, nil
}

// Open opens the operator's side of the queue of the bottle slug at dir, which
// must exist.
func Open(dir, slug string) (*Queue, error) { return open(dir, Options{Slug: slug}) }

func open(dir string, o Options) (*Queue, error) {
	if o.Redact == nil {
		o.Redact = func(s string) string { return s }
	}
	if o.Filing == nil {
		o.Filing = func(Proposal) error { return nil }
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	f, err := openFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return &Queue{folder: f, o: o, reported: make(map[string]bool)}, nil
}

// Close lets go of the folder. What is in it stays.
func (q *Queue) Close() error { return q.root.Close() }

// exclusive runs f while nobody else changes the queue.
func (q *Queue) exclusive(f func() error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	unlock, err := q.lock()
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	defer unlock()
	return f()
}

// Add files a proposal. The same request, by kind and rule, is one proposal as
// long as its answer was not delivered; the same request in the same words is
// so for a while longer, so that an answer that got lost on the way is found.
// filed tells whether the returned proposal is a new one.
func (q *Queue) Add(d Draft) (p Proposal, filed bool, err error) {
	wanted, err := d.proposal(q.o.Slug, q.o.Now(), q.o.Redact)
	if err != nil {
		return Proposal{}, false, err
	}
	err = q.exclusive(func() error {
		entries, err := q.entries()
		if err != nil {
			return err
		}
		open := 0
		for _, e := range entries {
			if e.Kind == wanted.Kind && string(e.Rule) == string(wanted.Rule) {
				p = e.Proposal
				return nil
			}
			if e.Response == nil {
				open++
			}
		}
		if twin, ok := q.delivered(wanted); ok {
			p = twin
			return nil
		}
		if open >= MaxOpen {
			return ErrFull
		}
		if err := q.o.Filing(wanted); err != nil {
			return err
		}
		p, filed = wanted, true
		return q.write(p.ID+proposalSuffix, p)
	})
	if err != nil {
		return Proposal{}, false, err
	}
	return p, filed, nil
}

const (
	// repeatWindow is for how long after its answer a request in the same
	// words is still the same request; repeatSearch, among how many of the
	// newest delivered ones it is looked for.
	repeatWindow = 10 * time.Minute
	repeatSearch = 50
)

// delivered finds a proposal with the same review that was answered lately.
func (q *Queue) delivered(wanted Proposal) (Proposal, bool) {
	names, err := q.list(archiveDir)
	if err != nil {
		return Proposal{}, false
	}
	seen := 0
	for _, name := range slices.Backward(names) {
		id, ok := strings.CutSuffix(name, proposalSuffix)
		if !ok {
			continue
		}
		if seen++; seen > repeatSearch {
			break
		}
		e, err := q.Get(id)
		if err == nil && e.Review == wanted.Review && e.Response != nil &&
			e.Response.Status != Expired && wanted.Created.Sub(e.Response.Decided) < repeatWindow {
			return e.Proposal, true
		}
	}
	return Proposal{}, false
}

// Entry is a proposal and what became of it.
type Entry struct {
	Proposal
	// Decision is what the operator's side is applying; nil = nothing.
	Decision *Response
	// Response is the answer in force; nil = none yet.
	Response *Response
}

// List returns the proposals whose answer was not yet delivered, oldest first.
// problems are the files that cannot be what they should be; they are left out
// and stop nothing.
func (q *Queue) List() (entries []Entry, problems []error, err error) {
	names, err := q.list(".")
	if err != nil {
		return nil, nil, fmt.Errorf("queue: %w", err)
	}
	for _, name := range names {
		id, ok := strings.CutSuffix(name, proposalSuffix)
		if !ok {
			continue
		}
		e, err := q.entry(".", id, func(err error) { problems = append(problems, err) })
		if errors.Is(err, fs.ErrNotExist) {
			continue // delivered meanwhile
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.Created.Compare(b.Created) })
	return entries, problems, nil
}

// entries is List with the problems reported.
func (q *Queue) entries() ([]Entry, error) {
	entries, problems, err := q.List()
	for _, problem := range problems {
		q.report(problem)
	}
	return entries, err
}

// Get returns one proposal, delivered or not. ErrUnknown when there is none.
func (q *Queue) Get(id string) (Entry, error) {
	if !ValidID(id) {
		return Entry{}, fmt.Errorf("%q: %w", Clean(id, 40), ErrUnknown)
	}
	for _, dir := range []string{".", archiveDir, "."} { // it may move while we look
		e, err := q.entry(dir, id, q.report)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return e, err
		}
	}
	return Entry{}, fmt.Errorf("%s: %w", id, ErrUnknown)
}

// entry reads what lies in dir about one proposal. An answer is looked for in
// both places, because a crash can come between the moves of a pair.
func (q *Queue) entry(dir, id string, report func(error)) (Entry, error) {
	var e Entry
	if err := q.read(dir+"/"+id+proposalSuffix, &e.Proposal); err != nil {
		return Entry{}, err
	}
	if err := e.Verify(); err != nil {
		return Entry{}, err
	}
	if e.ID != id || e.Slug != q.o.Slug {
		return Entry{}, fmt.Errorf("%s%s holds proposal %s of bottle %q", id, proposalSuffix, e.ID, Clean(e.Slug, 80))
	}
	for _, name := range []string{id + responseSuffix, archiveDir + "/" + id + responseSuffix} {
		if e.Response == nil {
			e.Response = q.answer(name, e.Proposal, report)
		}
	}
	if e.Response == nil {
		e.Decision = q.answer(id+decisionSuffix, e.Proposal, report)
	}
	return e, nil
}

// answer reads an answer to p; nil when there is none that holds.
func (q *Queue) answer(name string, p Proposal, report func(error)) *Response {
	var r Response
	err := q.read(name, &r)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = r.verify(p)
	}
	if err != nil {
		report(err)
		return nil
	}
	return &r
}

// report tells Options.Report a problem it did not hear of before.
func (q *Queue) report(err error) {
	const enough = 1000
	q.reports.Lock()
	defer q.reports.Unlock()
	if text := err.Error(); !q.reported[text] && len(q.reported) < enough {
		q.reported[text] = true
		q.o.Report(err)
	}
}
