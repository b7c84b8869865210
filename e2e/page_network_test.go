package e2e_test

import (
	"fmt"
	"testing"

	"setu/e2e/browser"
)

// lapse is a script that notes when the connection was lost, when the banner came, and how often the page has tried to
// connect.
const lapse = `(() => {
	globalThis.tries = 0;
	const Real = WebSocket;
	globalThis.WebSocket = class extends Real { constructor(...a) { tries++; super(...a); } };
	addEventListener("DOMContentLoaded", () => {
		const pill = document.querySelector("#pill"), banner = document.querySelector("#banner");
		new MutationObserver(() => {
			if (pill.dataset.status !== "connected") globalThis.lostAt ??= performance.now();
			if (!banner.hidden) globalThis.toldAt ??= performance.now();
		}).observe(document.querySelector("main"), { subtree: true, attributes: true });
	});
})()`

// The pill says how it stands with the connection, and the banner says so only when that lasts.
func TestPageTellsOfItsConnection(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Prepare(unplug)
	tab.Prepare(lapse)
	tab.Prepare(clipboard)
	asha := person{tab, t, "Asha", false}
	asha.OpenUntil(relay.URL()+"/r/harbour", `document.body.dataset.ready !== undefined`, "the program to run")
	asha.enter(relay)
	ben := startWriter(t, relay, "Ben", "harbour")
	asha.sees(ben.count("harbour", 1))
	asha.Click("#share")
	asha.WaitFor(`globalThis.copied === location.origin + "/r/harbour" && document.querySelector("#status").textContent === "Link copied"`, "the room's link, and that it is said")
	asha.WaitFor(`document.activeElement.id === "share"`, "the focus to stay")

	asha.Eval(`globalThis.lostAt = globalThis.toldAt = undefined; unplug()`, nil)
	asha.WaitFor(`/^Reconnecting in \d+ s$/.test(document.querySelector("#pill-label").textContent) && document.querySelector("#try-now").checkVisibility()`, "when it tries again, and a way to do so now")
	asha.WaitFor(`document.querySelector("#status").textContent === "Connection lost, reconnecting"`, "that it is said")
	ben.count("harbour", 4)
	asha.WaitFor(`document.querySelector("#banner").checkVisibility() && document.querySelector("#banner").textContent.includes("What you write is kept")`, "the banner")
	var after float64
	if asha.Eval(`toldAt - lostAt`, &after); after < 4900 || after > 9000 {
		t.Errorf("the banner came after %v ms", after)
	}
	asha.Screenshot("page offline desktop light")
	asha.WaitFor(`/ in ([3-9]|10) s$/.test(document.querySelector("#pill-label").textContent)`, "a while to be left")
	var tried bool
	if asha.Eval(`(async () => { const before = tries; document.querySelector("#try-now").click(); await new Promise(done => setTimeout(done, 500)); return tries > before; })()`, &tried); !tried {
		t.Error("it does not try when it is told to")
	}
	asha.Eval(`plugIn()`, nil)
	asha.WaitFor(`document.querySelector("#pill-label").textContent === "Recovered 3 messages" && !document.querySelector("#banner").checkVisibility()`, "what was missed")
	asha.sees("4")
	asha.hasNoErrors()
}

// typed is a script that notes when the page says that somebody is typing, and when it is told that somebody has left.
const typed = `(() => {
	globalThis.typed = [];
	const Real = WebSocket;
	globalThis.WebSocket = class extends Real {
		constructor(...a) {
			super(...a);
			this.addEventListener("message", ({ data }) => { if (/^42\["presence".*"left":\[\{/.test(data)) globalThis.leftAt ??= performance.now(); });
		}
		send(data) {
			if (String(data).includes('"typing":true')) typed.push(performance.now());
			super.send(data);
		}
	};
})()`

// Who is here, who they are, and who is typing, for as long as that is so.
func TestPageTellsOfOthers(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Prepare(typed)
	asha := person{tab, t, "Asha", false}
	asha.OpenUntil(relay.URL()+"/r/harbour", `document.body.dataset.ready !== undefined`, "the program to run")
	asha.enter(relay)
	var others []*writer
	for _, name := range []string{"Ben", "Cleo", "Dan", "Eva", "\u05d2\u05d9\u05dc"} {
		others = append(others, startWriter(t, relay, name, "harbour"))
	}
	asha.WaitFor(`document.querySelectorAll("#people-list [data-user]").length === 6 && document.querySelector("#people-list .person-note").textContent === "you" && document.querySelectorAll("#people-list .person-note")[1].textContent === "guest"`, "who is here")
	asha.Eval(`(() => {
		const typing = document.querySelector("#typing"), people = document.querySelector("#people-list");
		globalThis.times = {};
		new MutationObserver(() => {
			if (!typing.textContent) times.quiet ??= performance.now();
			if (people.children.length === 5) times.gone ??= performance.now();
		}).observe(document.body, { subtree: true, childList: true, characterData: true });
	})()`, nil)
	for i, sentence := range []string{"Ben is typing", "Ben and Cleo are typing", "Ben, Cleo and Dan are typing", "Ben, Cleo and 2 others are typing", "Ben, Cleo and 3 others are typing"} {
		others[i].Signal("harbour", map[string]bool{"typing": true})
		asha.WaitFor(fmt.Sprintf(`document.querySelector("#typing").textContent === %q && document.querySelectorAll("#typing bdi").length === %d`, sentence, []int{1, 2, 3, 2, 2}[i]), sentence)
	}
	asha.Eval(`delete times.quiet; times.last = performance.now()`, nil)
	asha.Screenshot("page typing desktop light")
	others[3].Quit()

	// She types for a while herself.
	asha.Eval(`(async () => {
		const c = document.querySelector("#composer");
		for (let i = 0; i < 26; i++) {
			c.value += "x";
			c.dispatchEvent(new Event("input", { bubbles: true }));
			await new Promise((done) => setTimeout(done, 100));
		}
	})()`, nil)
	asha.WaitFor(`times.gone && times.quiet`, "what was said to have passed")
	var lasted struct {
		Typing, Presence float64
		Typed            []float64
	}
	asha.Eval(`({ typing: times.quiet - times.last, presence: times.gone - leftAt, typed })`, &lasted)
	if lasted.Typing < 4000 || lasted.Typing > 12_000 || lasted.Presence < 4500 || lasted.Presence > 9000 {
		t.Errorf("typing was shown for %v ms, and who has left for %v", lasted.Typing, lasted.Presence)
	}
	if len(lasted.Typed) < 2 {
		t.Errorf("typing for seconds was told at %v", lasted.Typed)
	}
	for i, at := range lasted.Typed[min(1, len(lasted.Typed)):] {
		if at-lasted.Typed[i] < 600 { // what is told once a second does not always come so
			t.Errorf("typing was told at %v", lasted.Typed)
		}
	}
	// Somebody who writes is here with one color, in whatever direction they write.
	others[4].Say("harbour", map[string]string{"text": "\u05e9\u05dc\u05d5\u05dd"})
	others[0].Say("harbour", map[string]string{"text": "🎉👩‍👩‍👧‍👦"})
	asha.sees("🎉👩‍👩‍👧‍👦")
	var wrong []string
	asha.Eval(`(() => {
		const all = [...document.querySelectorAll(".message[data-author]")], [gil, ben] = all, wrong = [];
		for (const m of all) if (m.querySelector(".mono").className !== document.querySelector('#people-list [data-user="' + m.dataset.author + '"] .mono').className) wrong.push("two colors");
		if (gil.querySelector(".bubble").dir !== "auto" || getComputedStyle(gil.querySelector(".bubble")).direction !== "rtl") wrong.push("direction");
		if (gil.querySelector(".author bdi")?.textContent.length !== 3) wrong.push("name");
		if (parseFloat(getComputedStyle(ben.querySelector(".text")).fontSize) < 30 || parseFloat(getComputedStyle(gil.querySelector(".text")).fontSize) > 16) wrong.push("size");
		return wrong;
	})()`, &wrong)
	if len(wrong) > 0 {
		t.Errorf("wrong: %q", wrong)
	}
	asha.Screenshot("page others desktop light")
	asha.hasNoErrors()
}

// shape is JavaScript: what is not as the page is to look like, on any screen.
const shape = `(() => {
	const wrong = [], style = (s) => getComputedStyle(document.querySelector(s)), px = parseFloat;
	const is = (holds, what) => { if (!holds) wrong.push(what); };
	const viewport = document.querySelector("meta[name=viewport]").content;
	is(viewport.includes("interactive-widget=resizes-content") && viewport.includes("viewport-fit=cover") && !/maximum-scale|user-scalable/.test(viewport), viewport);
	const body = style("body"), size = px(body.fontSize);
	is(size >= 15 && size <= 16 && Math.abs(px(body.lineHeight) / size - 1.5) < 0.01, "text of " + body.fontSize + " at " + body.lineHeight);
	is(document.querySelector("#list").clientWidth <= 720, "a column of " + document.querySelector("#list").clientWidth);
	is(document.querySelector(".app").clientHeight === innerHeight, "not as high as the window");
	if (matchMedia("(pointer: coarse)").matches) for (const el of document.querySelectorAll("input:not([type=file]), textarea")) is(px(getComputedStyle(el).fontSize) >= 16, "a small field #" + el.id);
	const rules = [...document.styleSheets].flatMap(s => [...s.cssRules]).map(r => r.cssText).join();
	for (const side of ["top", "bottom", "left", "right"]) is(rules.includes("env(safe-area-inset-" + side), "no safe area: " + side);
	is(rules.includes("100dvh"), "no 100dvh");
	const slow = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.15;
	for (const el of document.querySelectorAll("body *")) for (const s of [getComputedStyle(el), getComputedStyle(el, "::before")]) for (const d of s.transitionDuration.split(", ")) if (px(d) > slow) wrong.push("moves for " + d + ": " + el.outerHTML.slice(0, 60));
	const canvas = new OffscreenCanvas(1, 1).getContext("2d");
	canvas.fillStyle = body.backgroundColor;
	canvas.fillRect(0, 0, 1, 1);
	const light = canvas.getImageData(0, 0, 1, 1).data[1];
	is(matchMedia("(prefers-color-scheme: dark)").matches ? light < 40 : light > 230, "a ground of " + light);
	is(document.querySelector("#messages").role === "log" && document.querySelector("#messages").getAttribute("aria-relevant") === "additions" && document.querySelector("#status").role === "status", "roles");
	const left = (s) => { const e = document.querySelector(s), r = e.getBoundingClientRect(); return e.checkVisibility({ visibilityProperty: true }) && r.right > 0 && r.left < innerWidth ? r.left : -1; };
	is(innerWidth < 720 ? left("#rooms-panel") < 0 : left("#rooms-panel") >= 0 && left("#rooms-panel") < left(".talk"), "rooms");
	is(innerWidth < 1200 ? left("#people") < 0 : left("#people") > left(".talk"), "people");
	return wrong;
})()`

// The page's measures on every screen, with and without motion, and above a keyboard that lies over it.
func TestPageHasItsMeasures(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	startWriter(t, relay, "Ben", "harbour").Say("harbour", map[string]string{"text": "Good morning"})
	for name, viewport := range map[string]browser.Viewport{
		"phone": browser.Phone.InDark(), "719": {Width: 719, Height: 600}, "720": {Width: 720, Height: 600}, "desktop": browser.Desktop, "wide": browser.Viewport{Width: 2560, Height: 1200}.InDark(),
	} {
		p := person{b.Tab(t, viewport), t, "Asha", viewport.Mobile}
		p.Prepare(`try { localStorage.setItem("setu.name", "Asha"); } catch {}`)
		p.OpenUntil(relay.URL()+"/r/harbour", isConnected, "her connection")
		p.sees("Good morning")
		look := func(where string) {
			t.Helper()
			var wrong []string
			p.Eval(shape, &wrong)
			for _, line := range wrong {
				t.Errorf("%s, %s: %s", name, where, line)
			}
		}
		look("as it is")
		if viewport.Mobile {
			p.Eval(`Object.defineProperty(visualViewport, "height", { value: 400, configurable: true }); visualViewport.dispatchEvent(new Event("resize"))`, nil)
			p.WaitFor(`document.querySelector(".app").clientHeight === 400 && document.querySelector("#composer").getBoundingClientRect().bottom <= 400`, "the page above the keyboard")
			p.Eval(`delete visualViewport.height; visualViewport.dispatchEvent(new Event("resize"))`, nil)
			p.WaitFor(`document.querySelector(".app").clientHeight === innerHeight`, "the page without a keyboard")
		}
		p.ForceColors()
		look("without motion")
		p.hasNoErrors()
		p.Open("about:blank")
	}
}
