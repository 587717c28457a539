package secretscan_test

import "testing"

func TestNoncesPass(t *testing.T) {
	s := mustNew(t)
	const uuid, hex = "0199c1f4-7b3e-7c52-9d1a-4f6e8b2a7c35", "9f3b6c1ea07d4852b1c6e93f5a2d7b80"
	for _, text := range []string{
		`{"model":"x","prompt_cache_key":"` + uuid + `","input":[]}`,
		`idempotency_key=` + uuid,
		`{"Idempotency-Key": "` + uuid + `"}`,
		`"text":"HOME=/home/agent\nCLAUDE_CODE_MESSAGING_TOKEN=` + hex + `\nLANG=C"`,
		"CLAUDE_CODE_MESSAGING_TOKEN=" + hex,
	} {
		if f := s.Text("body", text); f != nil {
			t.Errorf("%s: %v", text, f)
		}
	}
	for _, text := range []string{
		`{"model":"x","prompt_api_key":"` + uuid + `","input":[]}`,
		`{"model":"x","prompt_cache_key":"q9Zt7Lw2Xk5Rb8Nv3Mc6Hd1Jf4Gs0P","input":[]}`,
		`{"prompt_cache_key":"` + uuid + `","api_key":"q9Zt7Lw2Xk5Rb8Nv3Mc6Hd1Jf4Gs0P"}`,
		"MESSAGING_TOKEN=" + hex,
		"cache_key." + uuid + ".api_key=q9Zt7Lw2Xk5Rb8Nv3Mc6Hd1Jf4Gs0P", // a nonce in the name of a key
		"cache_key-" + uuid + "-token: q9Zt7Lw2Xk5Rb8Nv3Mc6Hd1Jf4Gs0P",
		"CLAUDE_CODE_MESSAGING_TOKEN=" + hex + hex,
	} {
		if s.Text("body", text) == nil {
			t.Errorf("%s: nothing found", text)
		}
	}
}
