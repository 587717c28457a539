package main

import "testing"

func TestIsSplit(t *testing.T) {
	for value, want := range map[string]bool{
		"0": true, "false": true, "no": true, "off": true, "OFF": true, " No ": true,
		"": false, "1": false, "true": false, "yes": false, "on": false, "True": false,
	} {
		if got, err := isSplit(value); err != nil || got != want {
			t.Errorf("%q: split %v, error %v; want %v", value, got, err, want)
		}
	}
	for _, value := range []string{"split", "2", "falsch", "-1", "n"} {
		if _, err := isSplit(value); err == nil {
			t.Errorf("%q is no error", value)
		}
	}
}
