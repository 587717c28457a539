package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
)

// What the repositories hold.
const (
	fewFiles   = 300
	manyFiles  = 10_000
	fileSize   = 9_500 // of one of manyFiles: together a pack of 33 MB
	commits    = 100
	filesEach  = 3 // that a commit changes
	folderSize = 50
)

// upstreams are the names of the repositories behind one way.
func (g *gitLab) upstreams(way string) []string {
	var names []string
	for run := range manyRuns {
		names = append(names, upstreamName(way, "few", run))
	}
	for run := range fewRuns {
		names = append(names, upstreamName(way, "large", run))
	}
	return names
}

// makeRepositories makes work, whose branch base the upstreams of kind few have
// already, many being 100 commits ahead of it and more one of that; large, which
// is pushed into empty upstreams; and the upstreams.
func (g *gitLab) makeRepositories(ctx context.Context) error {
	for name, history := range map[string]func(*stream){"work": workHistory, "large": largeHistory} {
		if err := g.git(ctx, nil, "init", "-q", "--bare", name); err != nil {
			return err
		}
		reader, writer := io.Pipe()
		go func() {
			s := &stream{w: bufio.NewWriter(writer), words: newWords(7)}
			history(s)
			writer.CloseWithError(s.w.Flush())
		}()
		if err := g.git(ctx, reader, "-C", name, "fast-import", "--quiet"); err != nil {
			return err
		}
	}
	if err := g.git(ctx, nil, "clone", "-q", "--bare", "--single-branch", "--branch=base", g.path("work"), "base"); err != nil {
		return err
	}
	for _, way := range []string{"direct", "gate"} {
		for run := range manyRuns {
			if err := os.CopyFS(g.path(upstreamName(way, "few", run)), os.DirFS(g.path("base"))); err != nil {
				return err
			}
		}
		for run := range fewRuns {
			if err := g.git(ctx, nil, "init", "-q", "--bare", upstreamName(way, "large", run)); err != nil {
				return err
			}
		}
	}
	return nil
}

// stream is what git fast-import reads.
type stream struct {
	w     *bufio.Writer
	words *words
	marks int
}

func (s *stream) commit(branch, from string) {
	s.marks++
	fmt.Fprintf(s.w, "commit refs/heads/%s\nmark :%d\ncommitter a <a@example.com> %d +0000\ndata 6\nchange\n", branch, s.marks, 1_700_000_000+s.marks)
	if from != "" {
		fmt.Fprintf(s.w, "from %s\n", from)
	}
}

func (s *stream) file(n, size int) {
	text := s.words.text(size)
	fmt.Fprintf(s.w, "M 100644 inline folder%d/file%d.txt\ndata %d\n", n/folderSize, n, len(text))
	s.w.Write(text)
	s.w.WriteByte('\n')
}

func workHistory(s *stream) {
	s.commit("base", "")
	for n := range fewFiles {
		s.file(n, 4000)
	}
	from := "refs/heads/base"
	for i := range commits {
		s.commit("many", from)
		for k := range filesEach {
			s.file((i*filesEach+k)%fewFiles, 4000)
		}
		from = ""
	}
	s.commit("more", "refs/heads/many")
	s.file(1, 4000)
}

func largeHistory(s *stream) {
	s.commit("main", "")
	for n := range manyFiles {
		s.file(n, fileSize)
	}
}
