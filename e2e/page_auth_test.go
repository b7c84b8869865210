package e2e_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"setu/e2e/browser"
	"setu/e2e/cluster"
)

const pageSecret = "a-secret-of-the-page's-tests-0123456789"

// tokenFor signs a token. Rooms are {"harbour": ["join", …]}.
func tokenFor(name string, ttl time.Duration, rooms map[string][]string) string {
	part := func(v any) string {
		text, _ := json.Marshal(v) // strings, numbers and lists
		return base64.RawURLEncoding.EncodeToString(text)
	}
	now := time.Now()
	signed := part(map[string]string{"alg": "HS256", "typ": "JWT"}) + "." + part(map[string]any{
		"sub": strings.ToLower(name), "name": name, "iat": now.Add(-time.Hour).Unix(), "exp": now.Add(ttl).Unix(), "rooms": rooms})
	sum := hmac.New(sha256.New, []byte(pageSecret))
	sum.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}

var (
	allRights  = []string{"join", "publish", "signal", "history", "members"}
	everywhere = map[string][]string{"*": allRights}
)

func startAuthRelay(t *testing.T, env map[string]string) *cluster.Relay {
	t.Helper()
	cluster.Require(t)
	all := map[string]string{"AUTH_SECRET": pageSecret}
	for name, value := range env {
		all[name] = value
	}
	return cluster.StartRelay(t, cluster.NewNetwork(t), cluster.RelayOptions{Name: "dublin", Env: all})
}

// arrive opens the page at a path, for somebody who is asked for no name.
func arrive(t *testing.T, b *browser.Browser, relay *cluster.Relay, name, path string, viewport browser.Viewport) person {
	t.Helper()
	p := person{b.Tab(t, viewport), t, name, viewport.Mobile}
	p.OpenUntil(relay.URL()+path, `document.body.dataset.ready !== undefined`, "the program to run")
	return p
}

func (p person) notice(text string) {
	p.t.Helper()
	p.WaitFor(fmt.Sprintf(`document.querySelector("#notice").checkVisibility() && document.querySelector("#notice-text").textContent.includes(%q)`, text), "the notice "+text)
}

// fits fails the test if something is wider than the screen.
func (p person) fits(what string) {
	p.t.Helper()
	var wide []string
	p.Eval(`[...document.querySelectorAll("main *")].filter(e => e.checkVisibility() && !e.closest(".hidden, .author") && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))`, &wide)
	if len(wide) > 0 {
		p.t.Errorf("%s: wider than the screen: %q", what, wide)
	}
}

func (p person) noNotice() {
	p.t.Helper()
	p.WaitFor(`!document.querySelector("#notice").checkVisibility()`, "no notice")
}

func (p person) paste(token string) {
	p.t.Helper()
	p.Insert("#token", token)
	p.Press("Enter")
}

// A token comes in the address, and is nowhere to be seen after that.
func TestPageTakesTheTokenFromTheAddress(t *testing.T) {
	t.Parallel()
	relay := startAuthRelay(t, nil)
	b := browser.Start(t)
	token := tokenFor("Asha", time.Hour, map[string][]string{"harbour": allRights, "quay": {"join", "history"}, "pier": {"join", "publish"}})
	asha := arrive(t, b, relay, "Asha", "/r/harbour#token="+token+"&x=1", browser.Desktop)
	asha.awaitConnected(relay)
	asha.WaitFor(`document.querySelector("#me-name").textContent === "Asha" && document.querySelector("#me-note").textContent === "Verified"`, "her name")
	var leaks []string
	asha.Eval(`(() => {
		const token = "`+token+`", out = [];
		if (location.href.includes("token")) out.push(location.href);
		for (const [k, v] of Object.entries(localStorage)) if ((k + v).includes(token)) out.push("localStorage " + k);
		if (document.documentElement.outerHTML.includes(token)) out.push("the document");
		for (const e of performance.getEntries()) if (e.name.includes(token) && e.entryType !== "navigation") out.push(e.name);
		return out;
	})()`, &leaks)
	if len(leaks) > 0 {
		t.Errorf("the token stands in %q", leaks)
	}
	asha.say("Signed in")
	asha.sees("Signed in")

	// Before the program is there, too.
	early := b.Tab(t, browser.Desktop)
	early.Prepare(withoutProgram)
	early.Open(relay.URL() + "/r/harbour#token=" + token + "&x=1")
	early.WaitFor(`location.hash === "#x=1" && !("ready" in document.body.dataset)`, "the token to be taken out of the address")

	// It outlives a reload of this tab.
	asha.OpenUntil(relay.URL()+"/r/quay", `document.body.dataset.ready !== undefined`, "the program to run")
	asha.awaitConnected(relay)
	asha.notice("You may read here, but not write.")
	asha.WaitFor(`document.querySelector("#composer").disabled && document.querySelector("#send").disabled`, "a composer that is off")
	asha.Screenshot("auth read only desktop")
	asha.Type("#room-input", "pier")
	asha.Press("Enter")
	asha.noNotice()
	asha.say("No history here")
	asha.sees("No history here")
	asha.WaitFor(`document.querySelector("#people-note").textContent.includes("may not see")`, "no list of people")
	asha.Type("#room-input", "vault")
	asha.Press("Enter")
	asha.notice("You may not enter this room.")
	asha.WaitFor(`document.querySelector("#empty").checkVisibility() && document.querySelector("#composer").disabled`, "the room to be closed")
	asha.Screenshot("auth no entry desktop")
	phone := arrive(t, b, relay, "Asha", "/r/quay#token="+token, browser.Phone.InDark())
	phone.notice("You may read here, but not write.")
	phone.Screenshot("auth read only phone dark")
	asha.hasNoErrors()
	phone.hasNoErrors()
}

// Without a token that holds, the page says so, keeps what was written, and has a way back in.
func TestPageSignsInAgain(t *testing.T) {
	t.Parallel()
	relay := startAuthRelay(t, nil)
	b := browser.Start(t)
	asha := arrive(t, b, relay, "Asha", "/r/harbour#token="+tokenFor("Asha", -time.Minute, everywhere), browser.Phone)
	asha.notice("Your sign-in has ended.")
	asha.say("Written while signed out")
	asha.WaitFor(`document.querySelector('.message[data-state="pending"]')`, "a message that waits")
	asha.Insert("#composer", "a draft")
	asha.Screenshot("auth signed out phone")
	asha.fits("signed out")
	asha.paste(tokenFor("Asha", 45*time.Second, everywhere))
	asha.awaitConnected(relay)
	asha.noNotice()
	asha.sees("Written while signed out")
	asha.WaitFor(`document.querySelector("#composer").value === "a draft"`, "the draft")

	// Before the token ends the page asks for another, and goes on with it.
	asha.notice("Your sign-in ends in a moment.")
	asha.paste(tokenFor("Asha", time.Hour, map[string][]string{"harbour": {"join", "history"}}))
	asha.noNotice()
	asha.send()
	asha.WaitFor(`document.querySelector('.message[data-state="failed"]')?.textContent.includes("you may not write here")`, "the refusal")
	asha.notice("You may read here, but not write.")
	asha.Screenshot("auth refused phone")
	asha.hasNoErrors()

	// Nobody is a guest here, and so nobody is asked for a name.
	phone := arrive(t, b, relay, "Ben", "/r/harbour", browser.Phone.InDark())
	phone.isAskedForATokenAlone()
	phone.Screenshot("auth needed phone dark")
	phone.fits("no token")
	phone.hasNoErrors()
	ben := arrive(t, b, relay, "Ben", "/r/harbour", browser.Desktop)
	ben.isAskedForATokenAlone()
	ben.Screenshot("auth needed desktop")
	ben.Click("#me")
	ben.WaitFor(`document.querySelector("#toast").textContent.includes("comes with your sign-in") && !document.querySelector("#name-dialog").open`, "no question for a name")
	ben.paste(tokenFor("Ben", time.Hour, everywhere))
	ben.awaitConnected(relay)
	ben.say("Here I am")
	ben.sees("Here I am")
	ben.hasNoErrors()
}

// isAskedForATokenAlone waits until the page says that it takes a token. It must not have asked for a
// name before, nor knocked at the relay.
func (p person) isAskedForATokenAlone() {
	p.t.Helper()
	p.notice("You need to sign in")
	var asked string
	p.Eval(`[document.querySelector("#name-dialog").open ? "a name" : "", document.querySelector("#pill-label").innerText].join("")`, &asked)
	if asked != "Not connected yet" {
		p.t.Errorf("before the token: %s", asked)
	}
	p.WaitFor(`document.querySelector("#composer").disabled`, "a composer that is off")
}

// embedder is a site that shows the page in a frame, and answers it with a token. It sends these
// headers, as pairs.
func embedder(t *testing.T, headers ...string) *httptest.Server {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		fmt.Fprint(w, `<!doctype html><meta charset="utf-8"><title>Host</title><style>body{margin:0}iframe{border:0;width:100vw;height:98vh}</style><script>
			const q = new URLSearchParams(location.search);
			globalThis.asked = [];
			addEventListener("message", (event) => {
				asked.push(event.data.type);
				const token = q.get(event.data.type);
				if (token) event.source.postMessage({ type: "setu.token", token }, "*");
			});
			document.write('<iframe src="' + q.get("page") + '"></iframe>');
		</script>`)
	}))
	t.Cleanup(site.Close)
	return site
}

func TestPageInAFrame(t *testing.T) {
	t.Parallel()
	friend, stranger := embedder(t), embedder(t)
	relay := startAuthRelay(t, map[string]string{"EMBED_ORIGINS": friend.URL})
	b := browser.Start(t)
	short, long := tokenFor("Asha", 45*time.Second, everywhere), tokenFor("Asha", time.Hour, everywhere)
	tab := b.Tab(t, browser.Desktop)
	tab.Open(friend.URL + "/?page=" + relay.URL() + "/r/harbour&setu.ready=" + short + "&setu.token_expires=" + long)
	tab.WaitInFrame(`document.querySelector("#pill")?.dataset.status === "connected" && document.querySelector("#me-name").textContent === "Asha"`, "Asha to be signed in")
	tab.WaitFor(`asked.includes("setu.token_expires")`, "the page to ask for another token")
	tab.WaitInFrame(`!document.querySelector("#notice").checkVisibility() && !document.querySelector("#name-dialog").open`, "nothing to be said")
	tab.Screenshot("auth embedded desktop")

	// One whose host has no token is asked for it in the frame.
	silent := b.Tab(t, browser.Desktop)
	silent.Open(friend.URL + "/?page=" + relay.URL() + "/r/harbour&setu.ready=" + tokenFor("Asha", -time.Minute, everywhere))
	silent.WaitInFrame(`document.querySelector("#notice").checkVisibility() && document.querySelector("#notice-text").textContent.includes("ended")`, "the notice")
	silent.Screenshot("auth embedded signed out desktop")

	// Who is not on the list shows no page, and brings no token to one in a window of its own.
	other := b.Tab(t, browser.Desktop)
	other.Open(stranger.URL + "/?page=" + relay.URL() + "/r/harbour&setu.ready=" + long)
	said := fmt.Sprint(other.Errors())
	var asked int
	other.Eval(`asked.length`, &asked)
	if !strings.Contains(said, "frame-ancestors") || asked > 0 {
		t.Errorf("a stranger's frame was asked %d times; the console says %s", asked, said)
	}
}

// A site that is isolated from others, for the sake of shared memory, shows the page as others do.
func TestPageInAFrameOfAnIsolatedSite(t *testing.T) {
	t.Parallel()
	site := embedder(t, "Cross-Origin-Embedder-Policy", "require-corp", "Cross-Origin-Opener-Policy", "same-origin")
	relay := startAuthRelay(t, map[string]string{"EMBED_ORIGINS": site.URL})
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Open(site.URL + "/?page=" + relay.URL() + "/r/harbour&setu.ready=" + tokenFor("Asha", time.Hour, everywhere))
	tab.WaitFor(`crossOriginIsolated`, "the site to be isolated")
	tab.WaitInFrame(`document.querySelector("#pill")?.dataset.status === "connected" && document.querySelector("#me-name").textContent === "Asha"`, "Asha to be signed in")
	tab.WaitInFrame(`getComputedStyle(document.querySelector("#app")).display === "grid"`, "the style")
	for _, said := range tab.Errors() {
		t.Error(said)
	}
	tab.Screenshot("auth embedded isolated desktop")
}

// What somebody has not sent yet is not sent, nor shown, under the next one's name, and is there when
// they are back.
func TestPageKeepsUnsentMessagesForTheirAuthor(t *testing.T) {
	t.Parallel()
	relay := startAuthRelay(t, map[string]string{"AUTH": "optional", "GUEST_ROOMS": "*:" + strings.Join(allRights, ",")})
	b := browser.Start(t)
	p := arrive(t, b, relay, "Asha", "/r/harbour#token="+tokenFor("Asha", -time.Minute, everywhere), browser.Phone)
	p.notice("Your sign-in has ended.")
	p.say("Asha's own")
	p.WaitFor(`document.querySelector('.message[data-state="pending"]')`, "a message that waits")
	p.paste(tokenFor("Ben", time.Hour, everywhere))
	p.isVerified("Ben")
	p.WaitFor(`document.querySelector("#toast").checkVisibility() && document.querySelector("#toast").textContent.startsWith("1 message was not sent")`, "what has become of it")
	p.Screenshot("auth unsent phone")
	p.say("I am Ben")
	p.sees("I am Ben")
	p.screenIs("I am Ben")

	// A guest's, from an older page of this browser, who has become Asha.
	p.Eval(`localStorage.setItem("setu.queue.x1", JSON.stringify({ room: "harbour", id: "x1", text: "A guest's", at: Date.now() }))`, nil)
	p.Eval(`location.hash = "token=`+tokenFor("Asha", time.Hour, everywhere)+`"`, nil)
	p.isVerified("Asha")
	p.sees("Asha's own")
	p.screenIs("I am Ben", "Asha's own")
	p.Eval(`sessionStorage.removeItem("setu.token"); localStorage.setItem("setu.name", "Guest Ben"); location.reload()`, nil)
	p.WaitFor(`document.querySelector("#me-note").textContent === "Guest"`, "the guest")
	p.sees("A guest's")
	p.screenIs("I am Ben", "Asha's own", "A guest's")
	var others int
	p.Eval(`document.querySelectorAll(".message:not([data-own])").length`, &others)
	if others != 2 {
		t.Errorf("%d messages of others", others)
	}
	p.hasNoErrors()
}

func (p person) isVerified(name string) {
	p.t.Helper()
	p.WaitFor(fmt.Sprintf(`document.querySelector("#me-name").textContent === %q && document.querySelector("#me-note").textContent === "Verified" && document.querySelector("#pill").dataset.status === "connected"`, name), name+" to be signed in")
	p.WaitFor(`document.querySelector("#people-button").checkVisibility()`, "the room to be entered")
}

func (p person) screenIs(want ...string) {
	p.t.Helper()
	if got := p.screen(); !slices.Equal(got, want) {
		p.t.Errorf("%s sees %q, want %q", p.name, got, want)
	}
}
