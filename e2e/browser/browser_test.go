package browser_test

import (
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"setu/e2e/browser"
)

// page has what a chat has: a field whose Enter sends, a log, a socket.
const page = `<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Fixture</title>
<textarea id="composer" autofocus></textarea><button id="send">Send</button><output id="log"></output>
<script src="/page.js"></script>`

const script = `
const log = document.getElementById("log"), composer = document.getElementById("composer")
const send = () => { log.textContent += composer.value + ";"; composer.value = "" }
composer.onkeydown = e => { if (e.key === "Enter" && !e.shiftKey) { e.preventDefault(); send() } }
document.getElementById("send").onclick = send
const socket = new WebSocket("ws://" + location.host + "/socket")
window.echoed = 0
socket.onmessage = () => window.echoed++
console.log("hello from", location.pathname)
`

func TestTabTypesClicksAndReads(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	url := serve(t)
	for name, viewport := range map[string]browser.Viewport{"desktop": browser.Desktop, "phone": browser.Phone.InDark()} {
		tab := b.PrivateTab(t, viewport)
		tab.Open(url)
		tab.Type("#composer", "héllo")
		tab.Press("Shift+Enter")
		tab.Type("#composer", "you 👋")
		tab.Press("Enter")
		tab.Insert("#composer", "pasted")
		tab.Click("#send")
		tab.WaitFor(`log.textContent.includes("pasted")`, "the second line")
		if got, want := tab.Text("#log"), "héllo you 👋;pasted;"; strings.ReplaceAll(got, "\n", " ") != want {
			t.Errorf("%s: log is %q, want %q", name, got, want)
		}
		var left string
		tab.Eval(`composer.value`, &left)
		if left != "" {
			t.Errorf("%s: Enter left %q in the field", name, left)
		}
	}
}

func TestTabHasTheViewportsScreen(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	url := serve(t)
	viewport := browser.Phone.InDark()
	viewport.Media = map[string]string{"prefers-reduced-motion": "reduce"}
	phone, desktop := b.Tab(t, viewport), b.Tab(t, browser.Desktop)
	const screen = `[innerWidth, ...["(prefers-color-scheme: dark)", "(pointer: coarse)", "(prefers-reduced-motion)"].map(q => matchMedia(q).matches)].join(" ")`
	for tab, want := range map[*browser.Tab]string{phone: "360 true true true", desktop: "1280 false false false"} {
		tab.Open(url)
		var got string
		tab.Eval(screen, &got)
		if got != want {
			t.Errorf("screen is %q, want %q", got, want)
		}
		tab.WaitFor(`document.visibilityState === "visible"`, "a visible tab")
	}
}

func TestTabHearsTheConsole(t *testing.T) {
	t.Parallel()
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Open(serve(t))
	if errors := tab.Errors(); len(errors) > 0 {
		t.Errorf("a healthy page has errors: %v", errors)
	}
	tab.Eval(`console.error("expected"); setTimeout(() => { throw new Error("thrown") })`, nil)
	tab.Eval(`document.body.insertAdjacentHTML("beforeend", "<p style='color: red'>refused</p>"); new Promise(setTimeout)`, nil)
	var heard []string
	for _, message := range tab.Errors("expected") {
		heard = append(heard, message.String())
	}
	all := strings.Join(heard, "\n")
	if len(heard) != 2 || !strings.Contains(all, "thrown") || !strings.Contains(all, "Content Security Policy") {
		t.Errorf("heard\n%s\nwant the exception and the refused style", all)
	}
	if !strings.Contains(fmt.Sprint(tab.Console()), "hello from /") {
		t.Errorf("console.log is missing from %v", tab.Console())
	}
}

func TestTabCountsTraffic(t *testing.T) {
	t.Parallel()
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Open(serve(t))
	tab.Eval(`fetch("/large").then(r => r.text())`, nil)
	// A million equal bytes, compressed to about a thousandth.
	if got := tab.WireBytes(); got < 1000 || got > 10000 {
		t.Errorf("%d bytes over the wire, want what was compressed: %v", got, tab.Responses())
	}
	if len(tab.Responses()) < 3 {
		t.Errorf("responses are %v, want the page, the script and the fetch", tab.Responses())
	}
}

func TestOffline(t *testing.T) {
	t.Parallel()
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Open(serve(t))
	tab.WaitFor(`socket.readyState === 1`, "an open socket")
	tab.Eval(`socket.send("before")`, nil)
	tab.WaitFor(`echoed === 1`, "the echo")

	tab.Offline(true)
	tab.WaitFor(`!navigator.onLine`, "the page to know")
	var failed bool
	tab.Eval(`fetch("/page.js").then(() => false, () => true)`, &failed)
	if !failed {
		t.Error("a request got through")
	}
	tab.Eval(`socket.send("meanwhile"); new Promise(done => new WebSocket(socket.url).onerror = done).then(() => echoed === 1)`, &failed)
	if !failed {
		t.Error("an open socket got through")
	}
	tab.Offline(false)
	tab.WaitFor(`echoed === 2`, "what was held")
	tab.WaitFor(`navigator.onLine`, "the page to know")
	tab.Eval(`fetch("/page.js").then(() => false, () => true)`, &failed)
	if failed {
		t.Error("no request gets through")
	}
}

func TestHiddenTab(t *testing.T) {
	t.Parallel()
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Open(serve(t))
	tab.Hide()
	tab.Show()
	tab.WaitFor(`document.hasFocus()`, "the focus to be back")
}

func TestScreenshotIsKept(t *testing.T) {
	t.Setenv("SETU_E2E_ARTIFACTS", t.TempDir())
	tab := browser.Start(t).Tab(t, browser.Phone)
	tab.Open(serve(t))
	content, err := os.ReadFile(tab.Screenshot("a page/on a phone"))
	if err != nil || !strings.HasPrefix(string(content), "\x89PNG") {
		t.Errorf("no PNG: %v", err)
	}
}

func serve(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		fmt.Fprint(w, page)
	})
	mux.HandleFunc("/page.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, script)
	})
	mux.HandleFunc("/favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		compressed := gzip.NewWriter(w)
		defer compressed.Close()
		fmt.Fprint(compressed, strings.Repeat("a", 1_000_000))
	})
	mux.HandleFunc("/socket", echo)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		kind, data, err := conn.Read(r.Context())
		if err != nil || conn.Write(r.Context(), kind, data) != nil {
			return
		}
	}
}
