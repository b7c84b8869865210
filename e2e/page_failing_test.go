package e2e_test

import (
	"fmt"
	"testing"

	"setu/e2e/browser"
)

// visits is a script that counts how often the tab has loaded the page, and breaks that as broken says.
const visits = `(() => {
	try { localStorage.setItem("setu.name", "Asha"); } catch { return; }
	sessionStorage.setItem("visits", Number(sessionStorage.getItem("visits")) + 1);
	const real = globalThis.fetch, broken = localStorage.getItem("broken");
	if (broken === "download") globalThis.fetch = async (...a) => { if (String(a[0]).includes(".wasm")) throw new TypeError("it is gone"); return real(...a); };
	globalThis.breaks = () => { globalThis.requestAnimationFrame = () => { throw new Error("it is broken"); }; document.querySelector("#composer").dispatchEvent(new Event("input", { bubbles: true })); };
})()`

// stops waits until the page says that it does not work, after so many visits.
func (p person) stops(sentence string, visits int) {
	p.t.Helper()
	p.WaitFor(fmt.Sprintf(`document.querySelector("#fatal").checkVisibility() && document.querySelector("#fatal-text").textContent.includes(%q) && document.querySelector("#fatal-reload").checkVisibility()`, sentence), "the sentence "+sentence)
	var loaded string
	if p.Eval(`sessionStorage.getItem("visits")`, &loaded); loaded != fmt.Sprint(visits) {
		p.t.Errorf("%s: the page was loaded %s times, want %d", sentence, loaded, visits)
	}
}

// A page that has broken loads itself once more, and then says what to do. What was written is kept.
func TestPageThatBreaks(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	tab := b.Tab(t, browser.Phone)
	tab.Prepare(visits)
	asha := person{tab, t, "Asha", true}
	asha.OpenUntil(relay.URL()+"/r/harbour", isConnected, "her connection")
	asha.Insert("#composer", "Do not lose me")
	asha.Eval(`breaks()`, nil)
	asha.WaitFor(`sessionStorage.getItem("visits") === "2" && `+isConnected, "the page to load itself")
	asha.writes("Do not lose me")
	asha.Eval(`breaks()`, nil)
	asha.stops("made a mistake and stopped", 2)
	asha.Screenshot("page broken phone light")
	asha.Click("#fatal-reload")
	asha.WaitFor(isConnected, "the page, when she asks for it")
	asha.writes("Do not lose me")

	// Its program does not come.
	asha.Eval(`sessionStorage.clear(); localStorage.setItem("broken", "download")`, nil)
	asha.Open(relay.URL() + "/r/harbour")
	asha.stops("could not be loaded", 2)

	// Without scripts it says that it needs them.
	ben := b.Tab(t, browser.Phone.InDark())
	ben.DisableScripts()
	ben.Open(relay.URL() + "/r/harbour")
	ben.WaitFor(`document.elementFromPoint(innerWidth / 2, innerHeight / 2).closest(".fatal")?.innerText.includes("Switch JavaScript on")`, "the sentence, over all else")
	ben.Screenshot("page without scripts phone dark")
}

// What the browser needs to offer the page as an app.
func TestPageCanBeInstalled(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	asha := browser.Start(t).Tab(t, browser.Desktop)
	asha.Open(relay.URL() + "/r/harbour")
	var wrong []string
	asha.Eval(`(async () => {
		const wrong = [], link = document.querySelector("link[rel=manifest]"), answer = await fetch(link.href), m = await answer.json();
		if (!m.name || !m.short_name || new URL(m.start_url, link.href).origin !== location.origin || m.display !== "standalone") wrong.push(JSON.stringify(m));
		const theme = [...document.querySelectorAll("meta[name=theme-color]")].map(e => e.content);
		if (!theme.includes(m.theme_color) || !theme.includes(m.background_color)) wrong.push("of another color than the page: " + m.theme_color + ", " + m.background_color);
		const images = [...m.icons, { src: document.querySelector("link[rel=apple-touch-icon]").href, sizes: "180x180" }];
		for (const { src, sizes } of images) {
			const image = new Image();
			image.src = src;
			await image.decode().catch(() => wrong.push("no picture: " + src));
			if (sizes !== "any" && image.naturalWidth + "x" + image.naturalHeight !== sizes) wrong.push(src + " is " + image.naturalWidth + " wide, not " + sizes);
		}
		for (const need of ["192x192", "512x512"]) if (!m.icons.some(i => i.sizes === need && i.purpose !== "maskable")) wrong.push("no icon of " + need);
		if (!m.icons.some(i => i.purpose === "maskable")) wrong.push("no icon to cut a shape out of");
		return wrong;
	})()`, &wrong)
	for _, line := range wrong {
		t.Error(line)
	}
}
