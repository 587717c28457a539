package audit

import "sync"

const (
	// maxClean bounds the texts that are remembered, maxCleanText their
	// length in bytes.
	maxClean     = 512
	maxCleanText = 512
)

// cleanTexts remembers what the redactor left as it was: an agent asks for the
// same things over and over. The zero value is empty.
type cleanTexts struct {
	mu    sync.Mutex
	texts map[string]struct{}
}

func (c *cleanTexts) holds(text []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.texts[string(text)]
	return ok
}

func (c *cleanTexts) add(text string) {
	if len(text) > maxCleanText {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.texts == nil || len(c.texts) >= maxClean {
		c.texts = make(map[string]struct{})
	}
	c.texts[text] = struct{}{}
}
