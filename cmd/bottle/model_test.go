package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// call is a tool call that the scripted model makes.
type call struct {
	tool  string
	input map[string]any
}

// model is a stand-in for Anthropic's API: it speaks the Messages protocol and
// says what its script has. Only its token opens it.
type model struct {
	token  string
	script []call

	mu      sync.Mutex
	refused []string        // requests without the token, or with another beside it
	results []string        // what each tool call of the script came to
	offered map[string]bool // the tools that the agent said it has
}

// message is as much of a conversation as the script needs.
type message struct {
	Content json.RawMessage
}

type messagesRequest struct {
	Stream   bool
	Messages []message
	Tools    []struct{ Name string }
}

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if keys := r.Header.Values("X-Api-Key"); len(keys) != 1 || keys[0] != m.token || r.Header.Get("Authorization") != "" {
		m.refused = append(m.refused, r.Method+" "+r.URL.Path)
		http.Error(w, `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`, http.StatusUnauthorized)
		return
	}
	var request messagesRequest
	switch err := json.Unmarshal(body, &request); {
	case r.URL.Path == "/v1/messages/count_tokens":
		fmt.Fprint(w, `{"input_tokens":100}`)
	case r.Method != http.MethodPost || r.URL.Path != "/v1/messages" || err != nil:
		http.Error(w, `{"type":"error","error":{"type":"not_found_error","message":"not found"}}`, http.StatusNotFound)
	default:
		m.answer(w, request)
	}
}

// answer makes the script's next call. A request that offers no tools is one of
// the agent's asides, which any text satisfies.
func (m *model) answer(w http.ResponseWriter, request messagesRequest) {
	block := map[string]any{"type": "text", "text": "That is all."}
	stop := "end_turn"
	if len(request.Tools) > 0 {
		m.results, m.offered = toolResults(request.Messages), make(map[string]bool)
		for _, tool := range request.Tools {
			m.offered[tool.Name] = true
		}
		if next := len(m.results); next < len(m.script) {
			block = map[string]any{
				"type": "tool_use", "id": fmt.Sprintf("toolu_%02d", next),
				"name": m.script[next].tool, "input": m.script[next].input,
			}
			stop = "tool_use"
		}
	}
	if request.Stream {
		stream(w, block, stop)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	reply := envelope()
	reply["content"], reply["stop_reason"] = []any{block}, stop
	json.NewEncoder(w).Encode(reply)
}

// toolResults are the texts of all tool results in a conversation, in order.
func toolResults(messages []message) []string {
	var texts []string
	for _, m := range messages {
		var blocks []struct {
			Type    string
			Content json.RawMessage
		}
		if json.Unmarshal(m.Content, &blocks) != nil {
			continue // a plain text
		}
		for _, b := range blocks {
			if b.Type == "tool_result" {
				texts = append(texts, string(b.Content))
			}
		}
	}
	return texts
}

func envelope() map[string]any {
	return map[string]any{
		"id": "msg_01", "type": "message", "role": "assistant", "model": "scripted",
		"content": []any{}, "stop_reason": nil, "stop_sequence": nil,
		"usage": map[string]any{"input_tokens": 100, "output_tokens": 10},
	}
}

// stream sends one content block as server-sent events.
func stream(w http.ResponseWriter, block map[string]any, stop string) {
	w.Header().Set("Content-Type", "text/event-stream")
	event := func(kind string, data map[string]any) {
		data["type"] = kind
		text, err := json.Marshal(data)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, text)
		w.(http.Flusher).Flush()
	}
	event("message_start", map[string]any{"message": envelope()})
	start, delta := map[string]any{"type": "text", "text": ""}, map[string]any{"type": "text_delta", "text": block["text"]}
	if block["type"] == "tool_use" {
		input, err := json.Marshal(block["input"])
		if err != nil {
			panic(err)
		}
		start = map[string]any{"type": "tool_use", "id": block["id"], "name": block["name"], "input": map[string]any{}}
		delta = map[string]any{"type": "input_json_delta", "partial_json": string(input)}
	}
	event("content_block_start", map[string]any{"index": 0, "content_block": start})
	event("content_block_delta", map[string]any{"index": 0, "delta": delta})
	event("content_block_stop", map[string]any{"index": 0})
	event("message_delta", map[string]any{
		"delta": map[string]any{"stop_reason": stop, "stop_sequence": nil},
		"usage": map[string]any{"output_tokens": 10},
	})
	event("message_stop", map[string]any{})
}

// heard is what the model was told: requests without its token, results, and
// the tools that were offered last.
func (m *model) heard() (refused, results []string, offered map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.refused), slices.Clone(m.results), maps.Clone(m.offered)
}
