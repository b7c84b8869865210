package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"setu/e2e/browser"
)

// What stories can't tell by themselves: a deaf console has no errors, and a screen that was not
// taken on shows another's picture. Typing, clicks and traffic they would miss.

func TestTabHasTheViewportsScreen(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	url := serve(t)
	phone, desktop := b.Tab(t, browser.Phone.InDark()), b.Tab(t, browser.Desktop)
	const screen = `[innerWidth, ...["(prefers-color-scheme: dark)", "(pointer: coarse)"].map(q => matchMedia(q).matches)].join(" ")`
	for tab, want := range map[*browser.Tab]string{phone: "360 true true", desktop: "1280 false false"} {
		tab.Open(url)
		var got string
		tab.Eval(screen, &got)
		if got != want {
			t.Errorf("screen is %q, want %q", got, want)
		}
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

func serve(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		fmt.Fprint(w, `<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Fixture</title>
			<body><script src="/page.js"></script>`)
	})
	mux.HandleFunc("/page.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprint(w, `console.log("hello from", location.pathname)`)
	})
	mux.HandleFunc("/favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}
