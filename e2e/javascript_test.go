package e2e_test

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"setu/e2e/browser"
	"setu/e2e/cluster"
	"setu/e2e/member"
)

//go:embed testdata/stock_client.js
var stockScript string

// The official client is $SETU_E2E_SOCKETIO_JS, a file, or what .ci/run has left
// on this machine; it runs in a page of another site than the relay's.
func TestStockJavaScriptClient(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	cache, _ := os.UserCacheDir()
	library, err := os.ReadFile(cmp.Or(os.Getenv("SETU_E2E_SOCKETIO_JS"), filepath.Join(cache, "setu-ci", "socket.io.min.js")))
	if err != nil {
		skipOrFail(t, fmt.Sprintf("needs socket.io-client in SETU_E2E_SOCKETIO_JS: %v", err))
	}
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

	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.OpenUntil(site.URL, `window.open_`, "the client")
	f := startFleet(t, cluster.RedisOptions{}, map[string]string{"ALLOWED_ORIGINS": site.URL})
	tellStory(t, f, page{t, tab})

	// Another site's page is not let in.
	closed := f.relay("closed", map[string]string{"ALLOWED_ORIGINS": "https://example.com"})
	var refused bool
	tab.Eval(fmt.Sprintf(`new Promise(done => io(%q, { transports: ["websocket"], forceNew: true, reconnection: false })
		.on("connect_error", () => done(true)).on("connect", () => done(false)))`, closed.URL()), &refused)
	if !refused {
		t.Error("a page of a site that is not allowed connected")
	}
}

// page is the stock client in a tab.
type page struct {
	t   *testing.T
	tab *browser.Tab
}

func (p page) call(out any, function string, args ...any) {
	p.t.Helper()
	call := "window." + function + "("
	for _, a := range args {
		text, err := json.Marshal(a)
		if err != nil {
			p.t.Fatal(err)
		}
		call += string(text) + ","
	}
	p.tab.Eval(call+")", out)
}

func (p page) connect(url string, auth map[string]string) (user member.User) {
	p.call(&user, "open_", url, auth)
	return user
}

func (p page) join(room string) (joined stockJoined) {
	p.call(&joined, "join", room)
	return joined
}

func (p page) publish(room, id, data string) (stored stockStored) {
	p.call(&stored, "publish", room, id, data)
	return stored
}

func (p page) state() (state stockState) {
	p.call(&state, "state")
	return state
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
