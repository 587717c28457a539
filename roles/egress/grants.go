package egress

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/claude-bottle/claude-bottle/internal/atomicfile"
)

// grants counts how often each grant was used, on disk before the use.
type grants struct {
	path string
	mu   sync.Mutex
	uses map[string]int
}

func loadGrants(path string) (*grants, error) {
	g := &grants{path: path, uses: make(map[string]int)}
	if path == "" {
		return g, nil
	}
	b, err := readFile(path, 4<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return g, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &g.uses)
	}
	if err != nil {
		return nil, fmt.Errorf("spent grants: %w", err)
	}
	if g.uses == nil {
		g.uses = make(map[string]int)
	}
	return g, nil
}

// used is how many requests the grant has let through.
func (g *grants) used(grant string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.uses[grant]
}

// spend counts one use out of most; false when none is left. An error means
// that the use could not be kept and must not happen.
func (g *grants) spend(grant string, most int) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.uses[grant] >= most {
		return false, nil
	}
	g.uses[grant]++
	if err := g.save(); err != nil {
		g.uses[grant]--
		return false, err
	}
	return true, nil
}

// refund takes back a use of which nothing was sent.
func (g *grants) refund(grant string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.uses[grant]--
	if g.save() != nil {
		g.uses[grant]++
	}
}

func (g *grants) save() error {
	if g.path == "" {
		return errors.New("spent grants: nowhere to keep them")
	}
	b, err := json.Marshal(g.uses)
	if err != nil {
		return err
	}
	if err := atomicfile.ReplaceDurably(g.path, b, 0o600); err != nil {
		return fmt.Errorf("spent grants: %w", err)
	}
	return nil
}
