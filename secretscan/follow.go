package secretscan

// maxOver is how long a container may be that lies over several texts.
const maxOver = 256 << 10

// Follower watches for containers that lie over several texts, such as the
// messages of a conversation, each of which is scanned by itself. The one who
// made it must Close it.
type Follower struct {
	scanner *Scanner
	place   string
	inside  unpackers
	last    []byte // the end of the texts so far, where a container may have begun
	passed  int64  // bytes before it
}

// Follow returns a Follower. One of a nil Scanner finds nothing.
func (s *Scanner) Follow(place string) *Follower { return &Follower{scanner: s, place: place} }

// Next takes the next text. open is how many bytes at the end of all texts are a
// container that goes on: they must be scanned together with the next text, for
// what they give may not be told yet. What was found stands in a container that
// ended, or is one too long to be scanned so.
func (f *Follower) Next(text []byte) (found *Finding, open int) {
	if f.scanner == nil {
		return nil, 0
	}
	seen := len(f.last)
	f.last = append(f.last, text...)
	found, _ = f.inside.push(f.scanner, f.place, f.last, seen, f.passed, false, 0)
	end := f.passed + int64(len(f.last))
	for _, u := range f.inside.list {
		open = max(open, int(end-u.begin))
	}
	if found == nil && open > maxOver {
		found = f.scanner.finding(f.place, hit{rule: Bomb})
	}
	drop := max(0, len(f.last)-maxNeed-len(emptyLine))
	f.passed += int64(drop)
	f.last = append(f.last[:0], f.last[drop:]...)
	return found, open
}

// Close gives up the containers that are under way.
func (f *Follower) Close() { f.inside.stop() }
