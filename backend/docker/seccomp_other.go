//go:build !linux

package docker

// seccompProfile is empty: the engine's own profile is used.
func seccompProfile() (string, error) { return "", nil }
