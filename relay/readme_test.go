package relay

import (
	"maps"
	"os"
	"regexp"
	"slices"
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

// What docs/protocol.md, the contract, says of events is what the README says: the same events, with the
// same fields.
func TestProtocolHasTheEventsOfTheReadme(t *testing.T) {
	readme, protocol := eventRows(t, "../README.md", "### Events", "## Deploy"), eventRows(t, "../docs/protocol.md", "## Setu's events", "## What has broken")
	if len(readme) < 15 {
		t.Errorf("only %d events were found: the test looks past them", len(readme))
	}
	for event, fields := range readme {
		if got, ok := protocol[event]; !ok {
			t.Errorf("no row of %s", event)
		} else if !slices.Equal(got, fields) {
			t.Errorf("%s has %v, and in the README %v", event, got, fields)
		}
	}
	for event := range protocol {
		if _, ok := readme[event]; !ok {
			t.Errorf("the README has no row of %s", event)
		}
	}
}

var (
	eventRow  = regexp.MustCompile("(?m)^\\| `(\\w+) ?([^`]*)` \\| (?:`([^`]*)`)?")
	fieldName = regexp.MustCompile(`\w+`)
)

// eventRows reads the tables of events between two headings: the fields of what is sent and of what
// answers it, in order of their names. A client's events have their object beside their name.
func eventRows(t *testing.T, path, from, to string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n"+from)
	section, _, found2 := strings.Cut(section, "\n"+to)
	if !found || !found2 {
		t.Fatalf("%s has no section from %s to %s", path, from, to)
	}
	out := map[string][]string{}
	for _, row := range eventRow.FindAllStringSubmatch(section, -1) {
		name, sent, answer := "a client's "+row[1], row[2], row[3]
		if sent == "" {
			name = "a relay's " + row[1]
		}
		if strings.HasPrefix(sent+answer, "{") { // else a row of another table
			fields := map[string]bool{}
			for _, field := range fieldName.FindAllString(sent+answer, -1) {
				fields[field] = true
			}
			out[name] = slices.Sorted(maps.Keys(fields))
		}
	}
	return out
}
