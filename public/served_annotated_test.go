package public

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"setu/wasmclient/chat"
)

// A message stands in the page as it does now: with its reactions, as edited, or as nothing.
func TestPageHasAnnotations(t *testing.T) {
	annotated := func(message, annotations string) string {
		return strings.TrimSuffix(message, "}") + `,"annotations":` + annotations + "}"
	}
	gone := strings.Replace(told(3, "Ben", "what it said"), `{"text":"what it said"}`, "null", 1)
	quoting := strings.Replace(told(4, "Asha", "Oh"), `"text":"Oh"`, `"text":"Oh","reply":{"offset":"e.3.3.d","seq":3,"from":"~Ben","name":"Ben","excerpt":"what it said"}`, 1)
	p := pageWith(t, func(*http.Request, string) []byte {
		return []byte("[" + strings.Join([]string{
			annotated(told(1, "Asha", "one"), `{"rev":3,"reactions":{"zoo":{"count":1},"👍":{"count":2},"\"><script>pwned(1)</script>":{"count":1}}}`),
			annotated(told(2, "Asha", "second thoughts"), `{"rev":1,"edited":{"at":1700000000000}}`),
			annotated(gone, `{"rev":5,"deleted":true}`), quoting,
		}, ",") + "]")
	})
	got := unpacked(t, ask(p, "GET", "/r/harbour", "Accept", document))
	for _, want := range []string{
		`<div class="reactions" aria-live="off"><button type="button" class="reaction" data-do="react" data-value="👍" aria-pressed="false" aria-label="👍, 2" disabled><bdi>👍</bdi> <span>2</span></button><button`,
		`<span class="text">second thoughts</span><span class="meta"><time dir="auto" datetime="2023-11-14T22:13:22.000Z" data-at="1700000002000"></time><span class="edited">edited</span></span>`,
		` deleted" role="article" data-id="m3"`, `<span class="text">Message deleted</span>`, `<bdi class="quote-text">Message deleted</bdi>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	for _, never := range []string{"what it said", "<script>"} {
		if strings.Contains(got, never) {
			t.Errorf("%s in %s", never, got)
		}
	}
	if strings.Count(got, `class="edited"`) != 1 || strings.Count(got, `class="reactions"`) != 1 || strings.Index(got, `data-value="👍"`) > strings.Index(got, `data-value="zoo"`) {
		t.Errorf("not as they stand: %s", got)
	}
}

// The page offers the reactions that the program puts first.
func TestQuickReactions(t *testing.T) {
	source, err := os.ReadFile("index.html")
	if err != nil {
		t.Fatal(err)
	}
	var offered []string
	for _, found := range regexp.MustCompile(`data-do="react" data-value="([^"]+)"[^>]*>([^<]+)<`).FindAllStringSubmatch(string(source), -1) {
		if offered = append(offered, found[1]); found[1] != found[2] {
			t.Errorf("%s gives %s", found[2], found[1])
		}
	}
	if !slices.Equal(offered, chat.QuickReactions) {
		t.Errorf("offered %q", offered)
	}
}
