package docker

import "context"

// agentImage is the image that the agent's container is made of.
func (s *start) agentImage(_ context.Context, _ func(string)) (string, error) {
	if s.plan.Image != "" {
		return s.plan.Image, nil
	}
	return s.backend.options.AgentImage, nil
}
