//go:build linux

package namespace

import "runtime"

// thread runs functions on one operating system thread that lives until it is
// closed. Children that ask to die with their parent die with the thread that
// forked them.
type thread struct{ calls chan func() }

func newThread() *thread {
	t := &thread{calls: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for call := range t.calls {
			call()
		}
	}()
	return t
}

// do returns when f has run.
func (t *thread) do(f func()) {
	done := make(chan struct{})
	t.calls <- func() {
		defer close(done)
		f()
	}
	<-done
}

func (t *thread) close() { close(t.calls) }
