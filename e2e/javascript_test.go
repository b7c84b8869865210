package e2e_test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"setu/e2e/browser"
	"setu/e2e/cluster"
)

//go:embed testdata/stock_client.js
var stockScript string

// The official client, in a page of another site than the relay's.
func TestStockJavaScriptClient(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	site := serveStock(t)
	f := startFleet(t, cluster.RedisOptions{}, map[string]string{"ALLOWED_ORIGINS": site})
	tab := openStock(t, browser.Start(t), site)
	tellStory(t, f, page{t, tab}, "javascript", false)

	// Another site's page is not let in.
	closed := f.relay("closed", map[string]string{"ALLOWED_ORIGINS": "https://example.com"})
	var refused bool
	for _, options := range []string{`{}`, `{ transports: ["websocket"] }`} {
		tab.Eval(fmt.Sprintf(`new Promise(done => io(%q, { ...%s, forceNew: true, reconnection: false })
			.on("connect_error", () => done(true)).on("connect", () => done(false)))`, closed.URL(), options), &refused)
		if !refused {
			t.Errorf("a page of a site that is not allowed connected, with %s", options)
		}
	}
}

// serveStock serves a page with the official client, and returns where.
func serveStock(t testing.TB) (url string) {
	t.Helper()
	library := javaScriptClient(t)
	mux := http.NewServeMux()
	serve := func(path, kind string, content []byte) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(content)
		})
	}
	serve("/{$}", "text/html", []byte(`<!doctype html><title>Stock</title><script src="/library.js"></script><script src="/stock.js"></script>`))
	serve("/library.js", "text/javascript", library)
	serve("/stock.js", "text/javascript", []byte(stockScript))
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	return site.URL
}

func openStock(t testing.TB, b *browser.Browser, site string) *browser.Tab {
	t.Helper()
	tab := b.Tab(t, browser.Desktop)
	tab.OpenUntil(site, `window.take`, "the client")
	return tab
}

// page is the stock client in a tab.
type page struct {
	t   testing.TB
	tab *browser.Tab
}

func (p page) do(ask map[string]any, out any) {
	p.t.Helper()
	text, err := json.Marshal(ask)
	if err != nil {
		p.t.Fatal(err)
	}
	p.tab.Eval("window.take("+string(text)+")", out)
}

// skipOrFail says that this machine lacks something: which fails in CI, where
// nobody would notice a skip.
func skipOrFail(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
