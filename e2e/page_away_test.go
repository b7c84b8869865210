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
	"setu/e2e/client"
	"setu/e2e/cluster"
	"setu/e2e/judge"
)

// door is where a browser reaches a relay. It can be shut, and it can lead to a newer version of the page.
type door struct {
	t       *testing.T
	to      atomic.Pointer[url.URL]
	address string
	proxy   *httputil.ReverseProxy
	server  *http.Server
	conns   *conns
	version atomic.Int64 // of the page; 0: the relay's own
}

func openDoor(t *testing.T, relay *cluster.Relay) *door {
	t.Helper()
	d := &door{t: t, address: "127.0.0.1:0"}
	d.lead(relay)
	d.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(d.to.Load())
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

// lead has who comes through from now on reach a relay.
func (d *door) lead(relay *cluster.Relay) {
	d.t.Helper()
	to, err := url.Parse(relay.URL())
	if err != nil {
		d.t.Fatal(err)
	}
	d.to.Store(to)
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

// watchAway is JavaScript that counts in a new page how often it tries to connect and tells how the room was, and
// sees whether the banner vanishes.
const watchAway = `;addEventListener("DOMContentLoaded", () => {
	globalThis.tries = globalThis.told = 0, globalThis.vanished = false;
	const [pill, status, banner] = ["pill", "status", "banner"].map(id => document.getElementById(id));
	if (!pill) return;
	new MutationObserver(() => { tries += pill.dataset.status === "connecting"; }).observe(pill, {attributeFilter: ["data-status"]});
	new MutationObserver(() => { told += status.textContent.includes("This is how the room was at"); }).observe(status, {childList: true, characterData: true, subtree: true});
	new MutationObserver(() => { vanished ||= told > 0 && !banner.checkVisibility(); }).observe(banner, {attributes: true});
});`

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
		tab.Prepare(`try { localStorage.setItem("setu.name", "Asha"); } catch {}` + watchAway)
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
		asha.WaitFor(`tries > 2`, "some tries to connect")
		var told string
		asha.Eval("`${told} times, vanished: ${vanished}`", &told)
		if told != "1 times, vanished: false" {
			t.Errorf("%s: how the room was is said %s", name, told)
		}
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

// me is JavaScript: what a page says of whoever is in front of it, and where that stands.
const me = `(() => {
	const mono = document.querySelector("#me .mono"), at = document.querySelector("#notify").getBoundingClientRect();
	return [mono.className, mono.textContent, document.querySelector("#me-note").textContent, at.top].join(" ");
})()`

// Without a connection nobody is said to be here, and oneself is who one was. What the relay has lost when it is
// back stays where it stands, and a gap says that something may be missing.
func TestPageWhoseRelayIsEmptied(t *testing.T) {
	t.Parallel()
	full, emptied := startLoneRelay(t), startLoneRelay(t)
	last := harbourTalk(t, full.WS())
	d := openDoor(t, full)
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Prepare(`try { localStorage.setItem("setu.name", "Asha"); } catch {}`)
	asha := person{tab, t, "Asha", false}
	asha.openThrough(d)
	asha.sees(last)
	const list = `[document.querySelector("#people-title").textContent, document.querySelector("#people-count").textContent, document.querySelectorAll("#people-list li").length, document.querySelector("#people-note").textContent].join("|")`
	asha.WaitFor(list+`.startsWith("Here now · 3|3|3|")`, "all three of them")
	asha.isKept("setu ")
	var before, after string
	asha.Eval(me, &before)

	d.shut()
	asha.WaitFor(list+` === "Last seen here|–|3|Not connected: who is here now isn’t known."`, "who was here")
	asha.openThrough(d)
	asha.WaitFor(list+` === "Here now|–|0|Not connected: who is here now isn’t known."`, "that nobody is known")
	if asha.Eval(me, &after); after != before {
		t.Errorf("without a connection she is %q instead of %q", after, before)
	}
	asha.Screenshot("page people unknown desktop light")

	d.lead(emptied)
	d.open()
	asha.WaitFor(isConnected, "her connection, again")
	asha.WaitFor(fmt.Sprintf(`document.querySelector(".row-gap")?.textContent.includes("may be missing") && %s.at(-1) === %q`, visible, last), "what was there, and a gap")
	asha.WaitFor(`document.querySelector("#fact-missed").textContent === "1 gap"`, "the gap to be counted")
	asha.WaitFor(list+`.startsWith("Here now · 1|1|1|")`, "that she is alone")
	for _, name := range []string{"Rosa", "Élodie", "anton", "Øyvind"} {
		somebody := client.Connect(t, client.Options{Name: name, History: judge.Record(t, judge.Rules{Kept: 256}), Relays: endpoints([]*cluster.Relay{emptied})})
		somebody.Join("harbour", client.JoinOptions{})
	}
	asha.WaitFor(`[...document.querySelectorAll("#people-list .person-name bdi")].map(e => e.textContent).join() === "Asha,anton,Élodie,Øyvind,Rosa"`, "people in order")
	asha.say("Anybody here?")
	asha.sees("Anybody here?")
	asha.Screenshot("page of an emptied relay desktop light")
	asha.openThrough(d)
	asha.WaitFor(isConnected, "her connection")
	asha.sees("Anybody here?")
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
