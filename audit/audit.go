// Package audit writes and verifies the append-only, hash-chained log. Most
// callers need Open once and Append per event; a short-lived program that
// shares a chain with others uses AppendOnce.
//
// A chain is JSON lines with the keys seq, time, slug, actor, action,
// decision, detail, prev, hash in this order. hash is the hex SHA-256 of the
// line's bytes without newline and with `,"hash":"…"` removed; prev is the
// hash of the line before, 64 zeros at first. Closed segments stand beside the
// current file: bundle-000001.jsonl and so on beside bundle.jsonl.
package audit

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Record is what a caller has to say; sequence, time, slug and hashes are the
// log's own.
type Record struct {
	// Actor is a role or "operator".
	Actor string
	// Action is what was tried, e.g. "request", "push", "proposal", "start".
	Action string
	// Decision is "allow", "block", or the outcome of an action.
	Decision string
	// Detail is marshalled as JSON; nil is {}. Strings pass the redactor, long
	// ones are cut. Records with decision "block" that agree in actor, action
	// and the members rule, host, port, method and path are identical refusals. When
	// one actor is refused too often, those that agree in rule and host are
	// counted together: the line that stands for them has no path.
	Detail map[string]any
}

// Options of Open. The zero value of each field is usable.
type Options struct {
	Slug string
	// Redact cleans every string before the line is hashed; nil leaves it as
	// it is. It must say the same of the same text always.
	Redact func(string) string
	// SegmentBytes is the size after which a segment is closed; 0 = 64 MiB.
	SegmentBytes int64
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// Window is how long identical refusals after the first are counted
	// instead of written; 0 = 10 s, negative = every one is written, however
	// many they are.
	Window time.Duration
	// LockWait is how long Open waits for another writer to close the chain;
	// 0 = 5 s.
	LockWait time.Duration
	// OnHead is told the newest line every 1,000 lines and at Close, so that
	// it can be kept elsewhere and a cut tail be noticed. It runs beside the
	// writers, one call at a time; nil = nobody asks.
	OnHead func(seq uint64, hash string)
}

const (
	defaultSegmentBytes = 64 << 20
	defaultWindow       = 10 * time.Second
	defaultLockWait     = 5 * time.Second
	syncInterval        = 500 * time.Millisecond
	headInterval        = 1000
)

// ErrClosed is returned by Append after Close.
var ErrClosed = errors.New("audit: the log is closed")

// Log is an open chain. It is safe for concurrent use. A nil *Log accepts
// every record and keeps none.
type Log struct {
	o       Options
	lock    *os.File
	chain   *chain
	repeats repeats
	clean   cleanTexts
	heads   heads
	stop    chan struct{}
	stopped sync.WaitGroup

	once   sync.Once
	result error // of closing; read after once

	writers atomic.Int32 // in put

	queue    sync.Mutex // guards what follows; held for moments only
	open     *batch
	later    [][]byte // records that wait for the next write
	taken    int      // how many of them are being written
	laterDue bool     // writeLater will come
	done     bool

	commit sync.Mutex // held while a batch is written
}

// batch is the records that one write puts on disk.
type batch struct {
	records [][]byte
	written bool
	err     error
}

// Open continues the chain at path, or begins one. A torn last line, as a
// crash leaves it, is cut off. A last line that is whole but was changed is an
// error: nothing may be chained to it. The folder is created 0700, files 0600.
func Open(path string, o Options) (*Log, error) {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Window == 0 {
		o.Window = defaultWindow
	}
	if o.LockWait <= 0 {
		o.LockWait = defaultLockWait
	}
	lock, err := acquire(path, o.LockWait)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	chain, err := openChain(path, o.SegmentBytes)
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("audit: %w", err)
	}
	l := &Log{o: o, lock: lock, chain: chain, open: new(batch), stop: make(chan struct{})}
	l.repeats = repeats{windows: make(map[string]*window), flood: newFlood()}
	l.stopped.Go(l.background)
	return l, nil
}

// AppendOnce opens the chain at path, appends the records and closes it again,
// for a program that must not hold the chain while others want it.
func AppendOnce(path string, o Options, records ...Record) error {
	l, err := Open(path, o)
	if err != nil {
		return err
	}
	for _, r := range records {
		if err := l.Append(r); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	return l.Close()
}

// Append writes one record and returns once the kernel has it; it is synced to
// disk within a second. A repeated refusal, and one of too many, is only
// counted. An error means
// that the record is not kept and the caller must refuse what it was about to
// let through; Append works again when the cause is gone.
func (l *Log) Append(r Record) error {
	if l == nil {
		return nil
	}
	if l.o.Window > 0 && r.Decision == blocked {
		now := l.o.Now()
		counted, due := l.repeats.count(r, now, l.o.Window)
		if due != nil {
			if err := l.write(due.summary()); err != nil {
				l.repeats.putBack(due)
				return err
			}
		}
		if counted {
			return nil
		}
		if err := l.write(r); err != nil {
			l.repeats.forget(r)
			return err
		}
		return nil
	}
	return l.write(r)
}

func (l *Log) write(r Record) error { return l.put(r, false) }

// put writes a record; nothing can follow a final one.
func (l *Log) put(r Record, final bool) error {
	body, err := l.encode(r)
	if err != nil {
		return notWritten(err)
	}
	l.queue.Lock()
	if l.done {
		l.queue.Unlock()
		return ErrClosed
	}
	crowded := l.writers.Add(1) > 1
	b := l.open
	b.records = append(b.records, body)
	l.done = final
	l.queue.Unlock()

	// Whoever comes first writes for all who queued meanwhile; letting others
	// run first makes that more, where there are others.
	if crowded {
		runtime.Gosched()
	}
	l.commit.Lock()
	if !b.written {
		l.writeBatch(b)
	}
	l.commit.Unlock()
	l.writers.Add(-1)
	if b.err != nil {
		return notWritten(b.err)
	}
	return nil
}

// writeBatch writes b, which is the open one unless it is empty, behind what
// waited for it. It needs the lock of the commit.
func (l *Log) writeBatch(b *batch) {
	l.queue.Lock()
	if b == l.open {
		l.open = new(batch)
	}
	waiting := l.takeLater()
	l.queue.Unlock()
	records := slices.Concat(waiting, b.records)
	b.written = true
	if len(records) == 0 {
		return
	}
	b.err = l.chain.write(records, l.o.Now())
	if len(waiting) > 0 {
		l.settleLater(waiting, b.err == nil)
	}
	if b.err == nil && l.o.OnHead != nil {
		l.heads.note(l.chain.seq, uint64(len(records)), l.chain.prev)
	}
}

func notWritten(err error) error { return fmt.Errorf("audit: record not written: %w", err) }

// background syncs, ends windows of repeated refusals and tells heads.
func (l *Log) background() {
	tick := time.NewTicker(syncInterval)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			l.flush(l.o.Now())
			l.writeLater() // again, where the disk took none
			l.commit.Lock()
			files := l.chain.unsynced()
			l.commit.Unlock()
			l.chain.sync(files)
			l.heads.tell(l.o.OnHead)
		}
	}
}

// flush writes the count of every window that ended by now.
func (l *Log) flush(now time.Time) {
	for _, w := range l.repeats.ended(now) {
		if err := l.write(w.summary()); err != nil {
			l.repeats.putBack(w)
		}
	}
}

// Close writes what is pending, syncs, and releases the chain.
func (l *Log) Close() error { return l.end(nil) }

// End is Close with a last record: it is written after all that is pending, and
// nothing after it. A log that is closed already does not take it.
func (l *Log) End(last Record) error { return l.end(&last) }

func (l *Log) end(last *Record) error {
	if l == nil {
		return nil
	}
	l.once.Do(func() { l.result = l.close(last) })
	return l.result
}

func (l *Log) close(last *Record) error {
	close(l.stop)
	l.stopped.Wait()
	var errs []error
	for _, w := range l.repeats.all() {
		errs = append(errs, l.write(w.summary()))
	}
	if last != nil {
		errs = append(errs, l.put(*last, true))
	}
	l.queue.Lock()
	l.done = true
	l.queue.Unlock()
	l.commit.Lock() // waits for a writer that queued before done
	defer l.commit.Unlock()
	rest := new(batch)
	l.writeBatch(rest)
	errs = append(errs, rest.err, l.chain.close())
	l.heads.tell(l.o.OnHead)
	if l.o.OnHead != nil && l.chain.seq > 0 {
		l.o.OnHead(l.chain.seq, l.chain.prev)
	}
	errs = append(errs, l.lock.Close())
	return errors.Join(errs...)
}
