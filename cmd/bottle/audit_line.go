package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/claude-bottle/claude-bottle/audit"
	"github.com/claude-bottle/claude-bottle/proposal"
)

const (
	longestWord   = 40  // characters of a column that a stranger wrote
	longestDetail = 400 // and of the detail
)

// printEntry prints one record as a line of a table. The bundle wrote it and an
// agent chose words in it: nothing of it is printed as it is.
func printEntry(w io.Writer, e audit.Entry) error {
	_, err := fmt.Fprintf(w, "%s  %-14s  %-9s  %-10s  %-9s  %s\n",
		e.Time.Local().Format(time.DateTime), word(e.Slug), word(e.Actor), word(e.Action), word(e.Decision), describeDetail(e.Detail))
	return err
}

func word(text string) string { return proposal.Clean(text, longestWord) }

// describeDetail tells the rule and the request first, then what else there is,
// by name.
func describeDetail(raw json.RawMessage) string {
	var detail map[string]any
	if json.Unmarshal(raw, &detail) != nil {
		return ""
	}
	text := func(key string) string {
		value, ok := detail[key].(string)
		if ok {
			delete(detail, key)
		}
		return value
	}
	host := text("host")
	if port, ok := detail["port"].(float64); ok && host != "" {
		host += fmt.Sprintf(":%.0f", port)
		delete(detail, "port")
	}
	parts := []string{text("rule"), text("method"), host + text("path")}
	for _, key := range slices.Sorted(maps.Keys(detail)) {
		value, err := json.Marshal(detail[key])
		if err != nil {
			continue
		}
		parts = append(parts, key+"="+digestForm.ReplaceAllString(string(value), "$1…"))
	}
	return proposal.Clean(strings.Join(parts, " "), longestDetail)
}

// digestForm is a digest; its beginning is enough to tell it from others.
var digestForm = regexp.MustCompile(`\b([0-9a-f]{12})[0-9a-f]{52}\b`)
