package routes

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/claude-bottle/claude-bottle/canon"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// maxTokens bounds the work on one GraphQL text.
const maxTokens = 20000

// IsGraphQL reports whether requests to the path, which ends in graphql or in
// graphql and a version, are GraphQL, so that one with a body needs
// GraphQLWrite's word too, unless the route allows API writes.
func IsGraphQL(p canon.Path) bool {
	path := strings.TrimRight(string(p), "/")
	if endsInGraphQL(path) {
		return true
	}
	slash := strings.LastIndexByte(path, '/')
	return slash >= 0 && endsInGraphQL(path[:slash]) && apiVersion.MatchString(path[slash+1:])
}

func endsInGraphQL(path string) bool {
	return strings.EqualFold(lastSegment(canon.Path(path)), "graphql")
}

// apiVersion is a last segment that chooses a version: v2, 2.1, 2026-07.
var apiVersion = regexp.MustCompile(`^[vV]?[0-9]+([.-][0-9]+)*(\.(json|xml))?$`)

// GraphQLWrite reports whether a request to a GraphQL path may change
// anything: true unless header and body are those of a JSON request whose
// every operation is known to be a query or subscription. Persisted queries,
// whose text stays at the server, may.
func GraphQLWrite(h http.Header, body []byte) bool {
	if len(h.Values("Content-Type")) != 1 || len(h.Values("Content-Encoding")) != 0 || !utf8.Valid(body) {
		return true
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return true
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return true
	}
	if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		return batchWrite(body)
	}
	return operationWrite(body)
}

// batchWrite reads a list of operations.
func batchWrite(body []byte) bool {
	var batch []json.RawMessage
	if json.Unmarshal(body, &batch) != nil || len(batch) == 0 {
		return true
	}
	for _, operation := range batch {
		if operationWrite(operation) {
			return true
		}
	}
	return false
}

// operationWrite reads one {"query": …}. Every member must be one whose
// meaning is known, and none may come twice, in any case of letters.
func operationWrite(body []byte) bool {
	members, ok := uniqueMembers(body)
	if !ok {
		return true
	}
	for name, value := range members {
		switch name {
		case "query", "variables", "operationName":
		case "extensions":
			if extensions, ok := uniqueMembers(value); string(value) != "null" &&
				(!ok || extensions["persistedQuery"] != nil) {
				return true
			}
		default:
			return true
		}
	}
	var text string
	if json.Unmarshal(members["query"], &text) != nil {
		return true
	}
	return textWrite(text)
}

// uniqueMembers returns the members of a JSON object; ok is false for
// anything else, and when two names differ in case alone.
func uniqueMembers(body []byte) (members map[string]json.RawMessage, ok bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	members = make(map[string]json.RawMessage)
	seen := make(map[string]bool)
	for d.More() {
		t, err := d.Token()
		name, isName := t.(string)
		var value json.RawMessage
		if err != nil || !isName || seen[strings.ToLower(name)] || d.Decode(&value) != nil {
			return nil, false
		}
		seen[strings.ToLower(name)] = true
		members[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, false
	}
	_, err := d.Token()
	return members, err == io.EOF
}

// textWrite reports whether a GraphQL document holds anything but queries,
// subscriptions and fragments.
func textWrite(text string) bool {
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, maxTokens)
	if err != nil || len(doc.Operations) == 0 {
		return true
	}
	for _, operation := range doc.Operations {
		if operation.Operation != ast.Query && operation.Operation != ast.Subscription {
			return true
		}
	}
	return false
}

// graphQLQueryWrite is GraphQLWrite for what stands in the query string,
// where some servers read an operation whatever the method.
func graphQLQueryWrite(rawQuery string) bool {
	if rawQuery == "" {
		return false
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return true
	}
	for name, values := range query {
		switch strings.ToLower(name) {
		case "query":
			if name != "query" || len(values) != 1 || textWrite(values[0]) {
				return true
			}
		case "id", "queryid", "query_id", "documentid", "doc_id", "hash", "extensions", "mutation":
			return true
		default:
			// Rails reads query[]= and query[x]= as the same parameter.
			if strings.HasPrefix(strings.ToLower(name), "query") {
				return true
			}
		}
	}
	return false
}
