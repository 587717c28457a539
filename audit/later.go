package audit

import "time"

const (
	// laterDelay is how long a record of AppendLater waits for one that is
	// written at once.
	laterDelay = 20 * time.Millisecond
	// maxLater bounds the records that wait.
	maxLater = 512
)

// AppendLater is Append for what nothing depends on any more, such as how a
// request ended that was recorded before it was let through: the record goes
// to the kernel together with the next one, within a moment, or as soon as the
// disk takes it. When too many wait, as they do while it takes none, it is
// Append.
func (l *Log) AppendLater(r Record) error {
	if l == nil {
		return nil
	}
	body, err := l.encode(r)
	if err != nil {
		return notWritten(err)
	}
	l.queue.Lock()
	if l.done {
		l.queue.Unlock()
		return ErrClosed
	}
	if len(l.later)+l.taken >= maxLater {
		l.queue.Unlock()
		return l.Append(r)
	}
	l.later = append(l.later, body)
	if !l.laterDue {
		l.laterDue = true
		time.AfterFunc(laterDelay, func() {
			l.queue.Lock()
			l.laterDue = false
			l.queue.Unlock()
			l.writeLater()
		})
	}
	l.queue.Unlock()
	return nil
}

// writeLater writes what still waits.
func (l *Log) writeLater() {
	l.queue.Lock()
	waiting := len(l.later) > 0
	l.queue.Unlock()
	if waiting {
		l.commit.Lock()
		l.writeBatch(new(batch))
		l.commit.Unlock()
	}
}

// takeLater takes what waits, to be written; it needs the lock of the queue.
func (l *Log) takeLater() [][]byte {
	waiting := l.later
	l.later, l.taken = nil, len(waiting)
	return waiting
}

// settleLater lets what was taken and not written wait for better times.
func (l *Log) settleLater(taken [][]byte, written bool) {
	l.queue.Lock()
	defer l.queue.Unlock()
	l.taken = 0
	if !written {
		l.later = append(taken, l.later...)
	}
}
