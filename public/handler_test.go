package public

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/andybalholm/brotli"
)

const program = "app.0123456789abcdef.wasm"

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write([]byte(text))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// sample is a page like the one that go generate makes, in small.
func sample(t *testing.T) page {
	t.Helper()
	files := fstest.MapFS{
		".keep":                {Data: nil},
		"index.html":           {Data: []byte("<index>")},
		"index.html.gz":        {Data: zipped(t, "<index>")},
		"index.html.br":        {Data: []byte("brotli index")},
		"token.html":           {Data: []byte("<index for those with a token>")},
		"missing.html":         {Data: []byte("<a href=/>")},
		program + ".gz":        {Data: zipped(t, "\x00asm")},
		program + ".br":        {Data: []byte("brotli program")},
		"manifest.webmanifest": {Data: []byte("{}")},
	}
	assets, err := loadAssets(files)
	if err != nil {
		t.Fatal(err)
	}
	assets["embed.json"] = embedAsset(nil)
	return page{index: assets["index.html"], missing: assets["missing.html"], assets: assets, ancestors: frameAncestors(nil)}
}

func ask(p page, method, path string, header ...string) *http.Response {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPathsAndTypes(t *testing.T) {
	p := sample(t)
	for _, c := range []struct {
		method, path string
		status       int
		kind, cache  string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", "no-cache"},
		{"GET", "/r/lobby", 200, "text/html; charset=utf-8", "no-cache"},
		{"GET", "/r/a%2Fb", 200, "text/html; charset=utf-8", "no-cache"},
		{"GET", "/?room=..", 200, "text/html; charset=utf-8", "no-cache"},
		{"HEAD", "/", 200, "text/html; charset=utf-8", "no-cache"},
		{"GET", "/" + program, 200, "application/wasm", "public, max-age=31536000, immutable"},
		{"GET", "/manifest.webmanifest", 200, "application/manifest+json", "no-cache"},
		{"GET", "/embed.json", 200, "application/json", "no-cache"},
		{"GET", "/index.html", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/token.html", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/" + program + ".br", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/.keep", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/dist/index.html", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/missing.html", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/nothing", 404, "text/plain; charset=utf-8", ""},
		{"POST", "/", 405, "text/plain; charset=utf-8", ""},
	} {
		r := ask(p, c.method, c.path)
		if r.StatusCode != c.status || r.Header.Get("Content-Type") != c.kind || r.Header.Get("Cache-Control") != c.cache {
			t.Errorf("%s %s: got %d, %q, %q", c.method, c.path, r.StatusCode, r.Header.Get("Content-Type"), r.Header.Get("Cache-Control"))
		}
		if c.method == "HEAD" && (text(t, r) != "" || r.Header.Get("Content-Length") != "7") {
			t.Error("HEAD has a body, or no length")
		}
		if c.status == 405 && r.Header.Get("Allow") != "GET, HEAD" {
			t.Error("405 does not say what is allowed")
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: no policy", c.path)
		}
	}
}

// People at a wrong address are shown the way to the chat; programs get a line.
func TestNothingThere(t *testing.T) {
	p := sample(t)
	for _, c := range []struct{ method, accept, kind, body string }{
		{"GET", "text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8", "<a href=/>"},
		{"HEAD", "text/html", "text/html; charset=utf-8", ""},
		{"GET", "*/*", "text/plain; charset=utf-8", "not found\n"},
	} {
		tag := ask(p, "GET", "/nothing", "Accept", c.accept).Header.Get("ETag")
		r := ask(p, c.method, "/nothing", "Accept", c.accept, "If-None-Match", tag)
		if got := text(t, r); r.StatusCode != 404 || r.Header.Get("Content-Type") != c.kind || got != c.body {
			t.Errorf("%s as %s: %d, %s, %q", c.method, c.accept, r.StatusCode, r.Header.Get("Content-Type"), got)
		}
		if r.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s as %s: no policy", c.method, c.accept)
		}
	}
	p.missing = nil
	if r := ask(p, "GET", "/nothing", "Accept", "text/html"); r.StatusCode != 404 || text(t, r) != "not found\n" {
		t.Errorf("without the page: %d", r.StatusCode)
	}
}

func TestEncodings(t *testing.T) {
	p := sample(t)
	for accept, want := range map[string]string{
		"":                               "",
		"gzip, deflate, br, zstd":        "br",
		"gzip":                           "gzip",
		"x-gzip":                         "gzip",
		"GZIP;Q=0.5":                     "gzip",
		"br;q=0.1, gzip;q=0.9":           "gzip",
		"br;q=0, gzip;q=0":               "",
		"*":                              "br",
		"*;q=0.5, br;q=0":                "gzip",
		"identity":                       "",
		"identity;q=1, br;q=0.5":         "",
		"identity;q=0.5, gzip":           "gzip",
		"br;q=nonsense":                  "",
		"identity;q=0, gzip;q=0.1":       "gzip",
		"deflate":                        "",
		"gzip;q=1.0, identity; q=0.5, *": "br",
	} {
		r := ask(p, "GET", "/", "Accept-Encoding", accept)
		if got := r.Header.Get("Content-Encoding"); r.StatusCode != 200 || got != want {
			t.Errorf("%q: got %d, %q, want %q", accept, r.StatusCode, got, want)
		}
		if r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: no Vary", accept)
		}
	}
	if r := ask(p, "GET", "/", "Accept-Encoding", "identity;q=0, br;q=0, gzip;q=0"); r.StatusCode != http.StatusNotAcceptable {
		t.Errorf("nothing is acceptable, and yet %d", r.StatusCode)
	}
	if got := text(t, ask(p, "GET", "/"+program)); got != "\x00asm" {
		t.Errorf("the plain program is %q", got)
	}
}

func TestTags(t *testing.T) {
	p := sample(t)
	plain, packed := ask(p, "GET", "/"), ask(p, "GET", "/", "Accept-Encoding", "br")
	tag := packed.Header.Get("ETag")
	if tag == "" || tag == plain.Header.Get("ETag") {
		t.Fatalf("tags %q and %q", tag, plain.Header.Get("ETag"))
	}
	for match, want := range map[string]int{tag: 304, "W/" + tag: 304, `"x", ` + tag: 304, "*": 304, `"x"`: 200, plain.Header.Get("ETag"): 200} {
		r := ask(p, "GET", "/", "Accept-Encoding", "br", "If-None-Match", match)
		if r.StatusCode != want {
			t.Errorf("%s: got %d", match, r.StatusCode)
		}
		if want == 304 && (text(t, r) != "" || r.Header.Get("Cache-Control") != "no-cache" || r.Header.Get("ETag") != tag) {
			t.Errorf("%s: a 304 with the wrong headers", match)
		}
	}
}

func TestPolicy(t *testing.T) {
	p := sample(t)
	for host, want := range map[string]string{
		"chat.example":        "connect-src 'self' ws://chat.example wss://chat.example",
		"127.0.0.1:8080":      "connect-src 'self' ws://127.0.0.1:8080 wss://127.0.0.1:8080",
		"[::1]:8080":          "connect-src 'self' ws://[::1]:8080 wss://[::1]:8080",
		"a; script-src *":     "connect-src 'self'",
		"a b":                 "connect-src 'self'",
		"chat.example:99999x": "connect-src 'self'",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		got := w.Header().Get("Content-Security-Policy")
		if !strings.HasSuffix(got, "; "+want) || strings.Contains(got, "unsafe-inline") || !strings.HasPrefix(got, "default-src 'none'") {
			t.Errorf("%q: %s", host, got)
		}
	}
}

// Nobody may embed the page but whom the setting names, and what can't stand in a header is none.
func TestEmbedders(t *testing.T) {
	for _, c := range []struct {
		embedders       []string
		ancestors, json string
	}{
		{nil, "'none'", `{"origins":[]}`},
		{[]string{"https://a.example:8443", "https://*.b.example", "http://[::1]:80"},
			"https://a.example:8443 https://*.b.example http://[::1]:80",
			`{"origins":["https://a.example:8443","https://*.b.example","http://[::1]:80"]}`},
		{[]string{"*", "null", "https:", "https://a.example; script-src *", "'self'", "data:"}, "'none'", `{"origins":[]}`},
	} {
		p := Handler(Options{Embedders: c.embedders}).(page)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, "; frame-ancestors "+c.ancestors+"; connect-src") {
			t.Errorf("%q: %s", c.embedders, got)
		}
		if !Built() {
			continue
		}
		if got := text(t, ask(p, "GET", "/embed.json")); got != c.json {
			t.Errorf("%q: %s", c.embedders, got)
		}
	}
}

// A site that is isolated from others shows the page only if its document lets itself be embedded, and
// asks the same of its files. Without a setting nothing of that is said.
func TestEmbeddersThatAreIsolated(t *testing.T) {
	for _, c := range []struct {
		embedders           []string
		path                string
		resources, embedder string
	}{
		{nil, "/r/lobby", "same-origin", ""},
		{[]string{"*"}, "/", "same-origin", ""},
		{[]string{"https://a.example"}, "/r/lobby", "cross-origin", "require-corp"},
		{[]string{"https://a.example"}, "/embed.json", "same-origin", ""},
		{[]string{"https://a.example"}, "/nothing", "same-origin", ""},
	} {
		r := ask(Handler(Options{Embedders: c.embedders}).(page), "GET", c.path)
		resources, embedder := r.Header.Get("Cross-Origin-Resource-Policy"), r.Header.Get("Cross-Origin-Embedder-Policy")
		if resources != c.resources || embedder != c.embedder {
			t.Errorf("%q, %s: %q and %q", c.embedders, c.path, resources, embedder)
		}
	}
	p := Handler(Options{Embedders: []string{"https://a.example"}}).(page)
	tag := ask(p, "GET", "/").Header.Get("ETag")
	if r := ask(p, "GET", "/", "If-None-Match", tag); r.StatusCode != 304 || r.Header.Get("Cross-Origin-Embedder-Policy") == "" {
		t.Errorf("a page from a cache of before: %d, %v", r.StatusCode, r.Header)
	}
}

func TestUnbuilt(t *testing.T) {
	r := ask(page{index: unbuiltAsset()}, "GET", "/r/lobby", "Accept-Encoding", "br")
	if got := text(t, r); r.StatusCode != 200 || !strings.Contains(got, "go generate ./...") || r.Header.Get("Content-Encoding") != "" {
		t.Errorf("got %d: %s", r.StatusCode, got)
	}
}

// Files of a build from before there was this document are as good as none.
func TestBuiltBefore(t *testing.T) {
	files := fstest.MapFS{"index.html": {Data: []byte("<index>")}}
	if got := text(t, ask(loadFrom(files, "index.html"), "GET", "/")); got != "<index>" {
		t.Errorf("got %s", got)
	}
	if got := text(t, ask(loadFrom(files, "token.html"), "GET", "/")); !strings.Contains(got, "go generate ./...") {
		t.Errorf("got %s", got)
	}
}

// TestMarkup checks that the page's source follows its own policy.
func TestMarkup(t *testing.T) {
	for _, name := range []string{"index.html", "unbuilt.html"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, inline := range []string{`<script>`, `<style`, ` style="`, ` onclick=`, ` onload=`, `javascript:`, `http://`, `https://`} {
			if bytes.Contains(source, []byte(inline)) {
				t.Errorf("%s has %q", name, inline)
			}
		}
	}
}

// The page of a relay that has no guests says so to its program, before anything is asked.
func TestPageWithoutGuests(t *testing.T) {
	if !Built() {
		t.Skip("the browser client is not built: run go generate ./...")
	}
	for required, want := range map[bool]int{true: 1, false: 0} {
		for _, encoding := range []string{"", "br", "gzip"} {
			r := ask(Handler(Options{TokenRequired: required}).(page), "GET", "/r/lobby", "Accept-Encoding", encoding)
			if got := strings.Count(unpacked(t, r), `<body data-auth="required">`); got != want {
				t.Errorf("required: %v, by %q: %d", required, encoding, got)
			}
		}
	}
}

func unpacked(t *testing.T, r *http.Response) string {
	t.Helper()
	body := io.Reader(r.Body)
	switch r.Header.Get("Content-Encoding") {
	case "br":
		body = brotli.NewReader(r.Body)
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		body = z
	}
	out, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestBuiltPage checks the output of go generate, if there is any.
func TestBuiltPage(t *testing.T) {
	if !Built() {
		t.Skip("the browser client is not built: run go generate ./...")
	}
	server := httptest.NewServer(Handler(Options{}))
	defer server.Close()
	fetch := func(path, accept string) *http.Response {
		r, err := http.NewRequest("GET", server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", accept)
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		if response.StatusCode != 200 {
			t.Fatalf("%s: %s", path, response.Status)
		}
		return response
	}
	index := text(t, fetch("/", "identity"))
	total := len(text(t, fetch("/", "br")))
	loaded := map[string]bool{"/manifest.webmanifest": true, "/sw.js": true}
	for _, m := range regexp.MustCompile(`(?:href|src)="(/[^"]+\.(?:wasm|js|css|svg|webmanifest))"`).FindAllStringSubmatch(index, -1) {
		loaded[m[1]] = true
	}
	if len(loaded) < 6 {
		t.Fatalf("the page loads only %v", loaded)
	}
	for path := range loaded {
		packed := fetch(path, "br")
		body := text(t, packed)
		total += len(body)
		unpacked, err := io.ReadAll(brotli.NewReader(strings.NewReader(body)))
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if plain := text(t, fetch(path, "identity")); plain != string(unpacked) {
			t.Errorf("%s differs between its encodings", path)
		}
	}
	const budget = 900_000
	t.Logf("%d bytes over the wire", total)
	if total > budget {
		t.Errorf("the page costs %d bytes over the wire, over %d", total, budget)
	}
}
