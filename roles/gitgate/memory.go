package gitgate

import (
	"bytes"
	"io"
	"sync"

	"github.com/claude-bottle/claude-bottle/internal/gitpack"
)

// memory keeps commits and trees that the upstream has, so that it need not be
// asked again. Their ids were computed from their content, so they never get
// old.
type memory struct {
	mu    sync.Mutex
	known map[gitpack.ID]known
	size  int64
}

type known struct {
	t    gitpack.Type
	data []byte
}

const (
	// memorySize is when a memory is emptied; memoryObject, what is too large
	// for it.
	memorySize   = 16 << 20
	memoryObject = 1 << 20
	// memoryPush is how many objects a push may have to be remembered.
	memoryPush = 5000
)

func (m *memory) get(id gitpack.ID) (known, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.known[id]
	return k, ok
}

// Object implements gitpack.Visitor: it remembers commits and trees.
func (m *memory) Object(_ int, id gitpack.ID, t gitpack.Type, data []byte) error {
	if t != gitpack.Commit && t != gitpack.Tree || len(data) > memoryObject {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.size > memorySize || m.known == nil {
		m.known, m.size = make(map[gitpack.ID]known), 0
	}
	if _, twice := m.known[id]; !twice {
		m.known[id] = known{t, bytes.Clone(data)}
		m.size += int64(len(data))
	}
	return nil
}

// Blob implements gitpack.Visitor.
func (*memory) Blob(int, int64, io.Reader) error { return nil }

// keep remembers a push that the upstream took.
func (m *memory) keep(pack *gitpack.Pack) {
	if pack.Len() > memoryPush {
		return
	}
	for n := range pack.Len() {
		if id, t := pack.At(n); t == gitpack.Commit || t == gitpack.Tree {
			if _, data, err := pack.Get(id); err == nil {
				_ = m.Object(n, id, t, data)
			}
		}
	}
}
