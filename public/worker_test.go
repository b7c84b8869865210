package public

import (
	"regexp"
	"strings"
	"testing"
)

// The service worker is checked at each visit, knows its own version, and keeps files that there are.
func TestWorker(t *testing.T) {
	if !Built() {
		t.Skip("the browser client is not built: run go generate ./...")
	}
	p := Handler(Options{}).(page)
	r := ask(p, "GET", "/sw.js")
	worker := text(t, r)
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/javascript; charset=utf-8" || r.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%d, %v", r.StatusCode, r.Header)
	}
	if !regexp.MustCompile(`const mine = "setu [0-9a-f]{16}";`).MatchString(worker) {
		t.Error("it has no version")
	}
	_, list, _ := strings.Cut(worker, "const files = [")
	list, _, _ = strings.Cut(list, "]")
	files := strings.Split(list, ", ")
	if len(files) < 6 || !strings.HasSuffix(files[0], `.wasm"`) {
		t.Errorf("it keeps %s", list)
	}
	index := text(t, ask(p, "GET", "/"))
	for _, f := range files {
		path := strings.Trim(f, `"`)
		if r := ask(p, "GET", path); r.StatusCode != 200 || !hashedName.MatchString(path) || !strings.Contains(index, f) {
			t.Errorf("%s: %d", f, r.StatusCode)
		}
	}
	policy := r.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "worker-src 'self'", "require-trusted-types-for 'script'", "trusted-types setu-worker;", "script-src 'self' 'wasm-unsafe-eval';"} {
		if !strings.Contains(policy, want) {
			t.Errorf("no %s in %s", want, policy)
		}
	}
}
