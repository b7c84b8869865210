package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"setu/e2e/browser"
	"setu/e2e/cluster"
)

// door is where a browser reaches a relay. It can be shut, and it can lead to a newer version of the page.
type door struct {
	t       *testing.T
	address string
	proxy   *httputil.ReverseProxy
	server  *http.Server
	conns   *conns
	version atomic.Int64 // of the page; 0: the relay's own
}

func openDoor(t *testing.T, relay *cluster.Relay) *door {
	t.Helper()
	to, err := url.Parse(relay.URL())
	if err != nil {
		t.Fatal(err)
	}
	d := &door{t: t, address: "127.0.0.1:0"}
	d.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // which the relay compares with the origin
			r.Out.Header.Del("Accept-Encoding")
			r.Out.Header.Del("If-None-Match")
		},
		Transport:      &http.Transport{},
		ModifyResponse: d.renew,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	d.open()
	t.Cleanup(d.shut)
	return d
}

func (d *door) url() string { return "http://" + d.address }

func (d *door) open() {
	d.t.Helper()
	l, err := net.Listen("tcp", d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	d.address = l.Addr().String()
	d.server, d.conns = &http.Server{Handler: d.proxy}, &conns{Listener: l}
	go func() { _ = d.server.Serve(d.conns) }()
}

// shut ends all connections, and takes no more.
func (d *door) shut() {
	_ = d.server.Close()
	d.conns.end() // WebSockets are no longer the server's
	d.proxy.Transport.(*http.Transport).CloseIdleConnections()
}

// conns knows the connections that a listener has taken.
type conns struct {
	net.Listener
	mu  sync.Mutex
	all []net.Conn
}

func (l *conns) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all = append(l.all, c)
	}
	return c, err
}

func (l *conns) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.all {
		_ = c.Close()
	}
}

var workerVersion = regexp.MustCompile(`"setu [0-9a-f]{16}"`)

// renew makes the page and its service worker those of a newer version.
func (d *door) renew(r *http.Response) error {
	version := d.version.Load()
	kind := r.Header.Get("Content-Type")
	if version == 0 || !strings.Contains(kind, "html") && r.Request.URL.Path != "/sw.js" {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	_ = r.Body.Close()
	body = bytes.Replace(body, []byte("<body"), fmt.Appendf(nil, `<body data-version="%d"`, version), 1)
	body = workerVersion.ReplaceAll(body, fmt.Appendf(nil, `"setu version %d"`, version))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", fmt.Sprint(len(body)))
	r.Header.Del("ETag")
	return nil
}

// openThrough opens a page by a door.
func (p person) openThrough(d *door) {
	p.t.Helper()
	p.OpenUntil(d.url()+"/r/harbour", `document.body.dataset.ready !== undefined`, "the program to run")
}

// isKept waits until the service worker has kept the page, and nothing else is kept.
func (p person) isKept(cache string) {
	p.t.Helper()
	p.Eval(fmt.Sprintf(`(async () => {
		const holds = async () => {
			const all = await caches.keys(), worker = (await navigator.serviceWorker.getRegistration())?.active;
			return worker?.state === "activated" && all.length === 1 && all[0].startsWith(%q) && await (await caches.open(all[0])).match("/") !== undefined;
		};
		while (!await holds()) await new Promise((resolve) => setTimeout(resolve, 50));
	})()`, cache), nil)
}

const isConnected = `document.querySelector("#pill").dataset.status === "connected"`

// Without the relay, a reload shows the last screen, and says so. When it is back all is brought up to date,
// and what was written meanwhile is sent.
func TestPageWithoutItsRelay(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	last := harbourTalk(t, relay.WS())
	d := openDoor(t, relay)
	b := browser.Start(t)
	for name, viewport := range map[string]browser.Viewport{"desktop light": browser.Desktop, "phone dark": browser.Phone.InDark()} {
		tab := b.Tab(t, viewport)
		tab.Prepare(`try { localStorage.setItem("setu.name", "Asha"); } catch {}`)
		asha := person{tab, t, "Asha", viewport.Mobile}
		asha.openThrough(d)
		asha.WaitFor(isConnected, "her connection")
		asha.sees(last)
		asha.say("Before the night, " + name)
		asha.sees("Before the night, " + name)
		asha.isKept("setu ")
		var kept []string
		asha.Eval(`(async () => (await (await caches.open((await caches.keys())[0])).keys()).map(r => new URL(r.url).pathname))()`, &kept)
		for _, path := range kept {
			if path != "/" && !regexp.MustCompile(`^/[a-z_-]+\.[0-9a-f]{16}\.[a-z]+$`).MatchString(path) {
				t.Errorf("kept: %s", path)
			}
		}
		var messages bool
		asha.Eval(`(async () => (await (await caches.match("/")).text()).includes('data-served="'))()`, &messages)
		if messages || len(kept) < 6 {
			t.Errorf("%s: kept %q, with messages: %v", name, kept, messages)
		}

		d.shut()
		asha.openThrough(d)
		asha.WaitFor(fmt.Sprintf(`%s.at(-1) === %q && document.querySelector(".message[data-own] .text")`, visible, "Before the night, "+name), "the last screen, and what is her own")
		asha.WaitFor(`document.querySelector("#banner").checkVisibility() && document.querySelector("#banner").textContent.includes("This is how the room was at")`, "the sentence")
		asha.Screenshot("page without its relay " + name)
		asha.say("In the dark, " + name)
		asha.WaitFor(`document.querySelector('.message[data-state="pending"]')`, "a pending message")

		d.open()
		asha.WaitFor(isConnected, "her connection, again")
		asha.sees("In the dark, " + name)
		asha.WaitFor(`!document.querySelector("#banner").checkVisibility() && !document.querySelector(".row-gap")`, "nothing to be told")
		var twice int
		asha.Eval(`(() => { const ids = [...document.querySelectorAll(".message")].map(m => m.dataset.id); return ids.length - new Set(ids).size; })()`, &twice)
		if twice > 0 {
			t.Errorf("%s: %d messages stand twice", name, twice)
		}
		last = "In the dark, " + name
		asha.Open("about:blank")
	}
}

// A new version of the page is there at the next load, and nothing of the old one stays.
func TestPageOfANewVersion(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	d := openDoor(t, relay)
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Prepare(`try { localStorage.setItem("setu.name", "Asha"); } catch {}`)
	asha := person{tab, t, "Asha", false}
	asha.openThrough(d)
	asha.isKept("setu ")
	for version := range 2 {
		version += 2
		d.version.Store(int64(version))
		asha.openThrough(d)
		is := fmt.Sprintf(`document.body.dataset.version === "%d"`, version)
		asha.WaitFor(is, "the new version, at once")
		asha.isKept(fmt.Sprint("setu version ", version))
		d.shut()
		asha.openThrough(d)
		asha.WaitFor(is, "the new version, without the relay")
		d.open()
	}
}

// What takes a token to read leaves nothing with the browser.
func TestPageKeepsNothingPrivate(t *testing.T) {
	t.Parallel()
	relay := startAuthRelay(t, map[string]string{"AUTH": "optional", "GUEST_ROOMS": "lobby:join,publish,history"})
	b := browser.Start(t)
	token := tokenFor("Asha", time.Hour, everywhere)
	asha := arrive(t, b, relay, "Asha", "/r/harbour#token="+token, browser.Desktop)
	asha.awaitConnected(relay)
	asha.say("for members alone")
	asha.sees("for members alone")
	asha.isKept("setu ")
	asha.OpenUntil(relay.URL()+"/r/harbour", isConnected, "her connection")
	asha.sees("for members alone")
	var left []string
	asha.Eval(`(async () => {
		const out = Object.entries({ ...localStorage }).filter(e => e.join().includes("members alone")).map(e => e[0]);
		for (const name of await caches.keys()) {
			const cache = await caches.open(name);
			for (const r of await cache.keys()) if ((await (await cache.match(r)).text()).includes("members alone")) out.push(r.url);
		}
		return out;
	})()`, &left)
	if len(left) > 0 {
		t.Errorf("it stands in %q", left)
	}
	asha.Eval(`sessionStorage.clear()`, nil)
	asha.OpenUntil(relay.URL()+"/r/harbour", `document.body.dataset.ready !== undefined`, "the page of a guest")
	var page string
	asha.Eval(`document.documentElement.outerHTML`, &page)
	if strings.Contains(page, "members alone") {
		t.Error("signed out, she still sees it")
	}
}
