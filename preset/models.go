package preset

import "github.com/claude-bottle/claude-bottle/roles/egress/routes"

// anthropic opens the calls of Claude Code and of the SDKs that talk to a
// model. The API has many others: with the same key they read files, run
// agents elsewhere, or make further keys.
func anthropic() Preset {
	const host = "api.anthropic.com"
	return Preset{
		Name: "anthropic",
		Doc:  "Claude's models: messages and token counts are posted, the list of models and Claude Code's settings are read",
		Routes: []routes.Route{
			posts(host, "/v1/messages"),
			reads(host, "/v1/models", "/api/hello", "/api/claude_code/policy_limits", "/api/claude_code/settings"),
		},
	}
}

// openai opens the calls of Codex and of the SDKs that talk to a model, not
// those for files, threads, batches and fine-tuning.
func openai() Preset {
	const host = "api.openai.com"
	return Preset{
		Name: "openai",
		Doc:  "OpenAI's models: responses, chat completions and embeddings are posted, the list of models is read",
		Routes: []routes.Route{
			posts(host, "/v1/responses", "/v1/chat/completions", "/v1/embeddings"),
			reads(host, "/v1/models"),
		},
	}
}
