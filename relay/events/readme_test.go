package events

import (
	"os"
	"strings"
	"testing"
)

func TestReadmeHasEveryEvent(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range table {
		if !strings.Contains(string(text), "| `"+name+" {") {
			t.Errorf("no event %q", name)
		}
	}
}
