package relay

import (
	"os"
	"strings"
	"testing"
)

// The README is the manual: it names every setting with its default, every event and every error
// code.
func TestReadmeIsWhole(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(text)
	for _, s := range Settings() {
		row := "| `" + s.Name + "` |"
		if s.Default != "" {
			row += " `" + s.Default + "` |"
		}
		if !strings.Contains(readme, row) {
			t.Errorf("no row %q", row)
		}
	}
	for _, code := range []string{codeBadRequest, codeNotJoined, codeTooLarge, codeGap, codeUnavailable, codeRateLimited, codeFull} {
		if !strings.Contains(readme, "| `"+code+"` |") {
			t.Errorf("no error code %q", code)
		}
	}
}
