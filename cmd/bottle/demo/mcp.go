package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/mcp"
)

// superviseURL is where an agent finds the supervise role.
const superviseURL = "http://supervise:9100/mcp"

// Call is the demo agent's MCP client: it calls one tool of the supervise role
// with arguments in JSON and returns "status: notes".
func Call(ctx context.Context, tool, arguments string) (string, error) {
	var parsed map[string]any
	if err := json.Unmarshal([]byte(arguments), &parsed); err != nil {
		return "", fmt.Errorf("the arguments are no JSON object: %w", err)
	}
	session, err := client.NewStreamableHttpClient(superviseURL)
	if err != nil {
		return "", err
	}
	defer session.Close()
	if err := session.Start(ctx); err != nil {
		return "", err
	}
	if _, err := session.Initialize(ctx, mcp.InitializeRequest{Params: mcp.InitializeParams{
		ProtocolVersion: mcp.LATEST_PROTOCOL_VERSION,
		ClientInfo:      mcp.Implementation{Name: "bottle-demo", Version: "1"},
	}}); err != nil {
		return "", err
	}
	result, err := session.CallTool(ctx, mcp.CallToolRequest{Params: mcp.CallToolParams{Name: tool, Arguments: parsed}})
	if err != nil {
		return "", err
	}
	answer, err := json.Marshal(result.StructuredContent)
	if err != nil {
		return "", err
	}
	var told struct{ Status, Notes string }
	if err := json.Unmarshal(answer, &told); err != nil || told.Status == "" {
		return "", errors.Join(fmt.Errorf("the tool answered %s", answer), err)
	}
	return told.Status + ": " + told.Notes, nil
}
