package e2e_test

import (
	"fmt"
	"testing"

	"setu/e2e/browser"
	"setu/e2e/client"
	"setu/e2e/cluster"
)

// badges is a script that notes the numbers on the app's icon, and lets the tab be hidden.
const badges = `(() => {
	globalThis.badges = [];
	Navigator.prototype.setAppBadge = async (n) => { badges.push(n); };
	Navigator.prototype.clearAppBadge = async () => { badges.push(0); };
	globalThis.hides = (away) => {
		Object.defineProperty(document, "hidden", { value: away, configurable: true });
		Object.defineProperty(document, "visibilityState", { value: away ? "hidden" : "visible", configurable: true });
		document.dispatchEvent(new Event("visibilitychange"));
	};
})()`

// atEnd is JavaScript: the end of the list is in view.
const atEnd = `(m => m.scrollHeight - m.scrollTop - m.clientHeight < 2)(document.querySelector("#messages"))`

// rests is JavaScript that waits until the page has drawn what it was to draw.
const rests = `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))`

// scrollsUp leaves so many pixels below the view.
func (p person) scrollsUp(below int) {
	p.t.Helper()
	p.Eval(fmt.Sprintf(`{ const m = document.querySelector("#messages"); m.scrollTop = m.scrollHeight - m.clientHeight - %d; }`, below), nil)
	p.Eval(rests, nil)
}

// eye is JavaScript: the first message that is whole in the view, and where it stands.
const eye = `(() => {
	const top = document.querySelector("#messages").getBoundingClientRect().top, m = [...document.querySelectorAll(".message")].find(m => m.getBoundingClientRect().top >= top);
	return { text: m.querySelector(".text").textContent, top: m.getBoundingClientRect().top };
})()`

type sight struct {
	Text string
	Top  float64
}

// stillSees fails the test if what was under the eye has moved.
func (p person) stillSees(before sight, when string) {
	p.t.Helper()
	var top float64
	p.Eval(message(before.Text)+`?.getBoundingClientRect().top ?? -1e6`, &top)
	if top-before.Top > 1 || before.Top-top > 1 {
		p.t.Errorf("%s: %q has moved from %v to %v", when, before.Text, before.Top, top)
	}
}

// unreadIs waits until so many unread messages are told of wherever they are.
func (p person) unreadIs(n int) {
	p.t.Helper()
	title, attribute, icon := "harbour", "undefined", "quiet"
	if n > 0 {
		title, attribute, icon = fmt.Sprintf("(%d) harbour", n), fmt.Sprintf(`"%d"`, n), "unread"
	}
	p.WaitFor(fmt.Sprintf(`document.title === %q && document.querySelector('#rooms [data-room="harbour"]').dataset.unread === %s && (i => i.getAttribute("href") === i.dataset.%s)(document.querySelector("#icon")) && (badges.at(-1) ?? 0) === %d`,
		title, attribute, icon, n), fmt.Sprintf("%d unread in the title, the list of rooms and both icons", n))
}

// What is new comes into view where the end is; farther up it is counted, and nothing moves.
func TestPageFollowsTheEnd(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	ben := startWriter(t, relay, "Ben", "harbour")
	last := ben.count("harbour", 200)
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Prepare(badges)
	asha := person{tab, t, "Asha", false}
	asha.OpenUntil(relay.URL()+"/r/harbour", `document.body.dataset.ready !== undefined`, "the program to run")
	asha.enter(relay)
	asha.sees(last)
	asha.scrollsUp(90)
	asha.sees(ben.count("harbour", 201))
	asha.WaitFor(atEnd, "the end, to which she was near")
	asha.Eval(`document.querySelector("#list").style.fontSize = "19px"`, nil)
	asha.WaitFor(atEnd, "the end, after what stands there has grown")
	asha.Insert("#composer", "one\ntwo\nthree\nfour")
	asha.WaitFor(atEnd, "the end, above more that is written")
	asha.Eval(`document.querySelector("#composer").value = ""; document.querySelector("#list").style.fontSize = ""`, nil)
	asha.unreadIs(0)

	// Farther up.
	asha.scrollsUp(400)
	var before sight
	asha.Eval(eye, &before)
	ben.count("harbour", 204)
	asha.WaitFor(`document.querySelector("#new-messages").checkVisibility() && document.querySelector("#new-messages").textContent === "3 new ↓"`, "what is new to be counted")
	asha.unreadIs(3)
	asha.stillSees(before, "as others write")
	asha.Click("#new-messages")
	asha.WaitFor(atEnd+` && document.activeElement.id === "composer"`, "the end, and the focus where one writes")
	asha.unreadIs(0)
	if got := asha.around(".row-unread"); got != "201 | 202" {
		t.Errorf("the line stands between %s", got)
	}
	asha.scrollsUp(600)
	asha.say("My own")
	asha.WaitFor(atEnd+` && `+message("My own"), "what is her own to come into view")

	// The line stays until she leaves the room. What comes into a hidden tab is not read.
	asha.Eval(`hides(true)`, nil)
	asha.sees(ben.count("harbour", 206))
	asha.unreadIs(2)
	asha.Eval(`hides(false)`, nil)
	asha.unreadIs(0)
	if got := asha.around(".row-unread"); got != "My own | 205" {
		t.Errorf("the line stands between %s", got)
	}
	ben.Join("galley", client.JoinOptions{})
	asha.Type("#room-input", "galley")
	asha.Press("Enter")
	asha.WaitFor(`document.querySelector("#room-title").textContent === "galley"`, "the other room")
	asha.Click(`#rooms [data-room="harbour"]`)
	asha.sees("206")
	asha.WaitFor(`!document.querySelector(".row-unread")`, "no line in a room that she comes back to")
	asha.hasNoErrors()
}

// What is loaded above leaves the line under the eye where it was, is not read out, and takes from the document
// what is farthest away.
func TestPageReadsBack(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	relay := cluster.StartRelay(t, cluster.NewNetwork(t), cluster.RelayOptions{Name: "dublin", Env: map[string]string{"HISTORY_LIMIT": "1000"}})
	ben := startWriter(t, relay, "Ben", "harbour")
	last := ben.count("harbour", 400)
	asha := openPage(t, browser.Start(t), relay, "Asha", browser.Desktop)
	asha.sees(last)
	asha.Eval(`(() => {
		const list = document.querySelector("#list"), first = () => list.querySelector(".message").dataset.id;
		globalThis.heard = []; // of what was added above, how loud that was
		globalThis.most = 0;
		let was = first();
		new MutationObserver(() => {
			most = Math.max(most, list.children.length);
			if (first() !== was) heard.push(document.querySelector("#messages").ariaLive ?? document.querySelector("#messages").getAttribute("aria-live"));
			was = first();
		}).observe(list, { childList: true });
	})()`, nil)
	for step := 0; ; step++ {
		var before sight
		var start bool
		asha.Eval(`(() => { const m = document.querySelector("#messages"); m.scrollTop = Math.min(m.scrollTop, 700); globalThis.above = document.querySelector(".message").dataset.id; return `+eye+`; })()`, &before)
		asha.WaitFor(`document.querySelector(".message").dataset.id !== above || document.querySelector(".row-start")`, "more above")
		asha.Eval(rests, nil)
		asha.stillSees(before, "as older messages come")
		if asha.Eval(`document.querySelector(".row-start") !== null`, &start); start || step > 12 {
			break
		}
	}
	var seen struct {
		Heard []string
		Most  int
		Whole bool
	}
	asha.Eval(`({ heard, most, whole: Boolean(`+message(last)+`) })`, &seen)
	if len(seen.Heard) < 3 || fmt.Sprint(seen.Heard) != fmt.Sprint(repeated("off", len(seen.Heard))) {
		t.Errorf("of what came above was heard %q", seen.Heard)
	}
	if seen.Most > 320 || seen.Most < 290 || seen.Whole {
		t.Errorf("up to %d rows; with the newest: %v", seen.Most, seen.Whole)
	}
	asha.WaitFor(`document.querySelector("#messages").getAttribute("aria-live") === "polite"`, "what is new to be heard again")
	asha.Press("Escape")
	asha.WaitFor(atEnd+` && `+message(last), "the end")
	asha.hasNoErrors()
}

func repeated(what string, times int) (list []string) {
	for range times {
		list = append(list, what)
	}
	return list
}

// written is a script by which a message that says "-10 min" was written ten minutes before this day began.
const written = `(() => {
	const Real = WebSocket, came = Object.getOwnPropertyDescriptor(Real.prototype, "onmessage").set;
	const date = (o) => {
		if (!o || typeof o !== "object") return;
		const said = /^(-?\d+) min$/.exec(o.data?.text ?? "");
		if (said && "at" in o) o.at = new Date().setHours(0, 0, 0, 0) + said[1] * 60000;
		Object.values(o).forEach(date);
	};
	globalThis.WebSocket = class extends Real {
		set onmessage(f) {
			came.call(this, f && ((e) => {
				const kind = /^4[23]\d*(?=\[)/.exec(e.data)?.[0];
				if (!kind) return f(e);
				const said = JSON.parse(e.data.slice(kind.length));
				date(said);
				f({ data: kind + JSON.stringify(said) });
			}));
		}
	};
})()`

// Who writes again within five minutes is in one group, and days are parted where the reader is.
func TestPageTellsDaysApart(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	ben := startWriter(t, relay, "Ben", "harbour")
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.SetTimeZone("Pacific/Auckland")
	tab.Prepare(written)
	asha := person{tab, t, "Asha", false}
	asha.OpenUntil(relay.URL()+"/r/harbour", `document.body.dataset.ready !== undefined`, "the program to run")
	asha.enter(relay)
	for _, text := range []string{"-2000 min", "-1996 min", "-1990 min", "-10 min", "10 min", "11 min"} {
		ben.Say("harbour", map[string]string{"text": text})
	}
	asha.sees("11 min")
	startWriter(t, relay, "Cleo", "harbour").Say("harbour", map[string]string{"text": "12 min"})
	asha.sees("12 min")
	var rows []string
	asha.Eval(`[...document.querySelectorAll(".row-day, .message")].map(r => r.matches(".row-day") ? r.textContent.replace(/^[A-Z][a-z]+day, .+/, "a date") : r.querySelector(".text").textContent + (r.querySelector(".mono").checkVisibility({ visibilityProperty: true }) ? " by " + r.querySelector(".author").innerText : ""))`, &rows)
	want := `[a date -2000 min by Ben -1996 min -1990 min by Ben Yesterday -10 min by Ben Today 10 min by Ben 11 min 12 min by Cleo]`
	if got := fmt.Sprint(rows); got != want {
		t.Errorf("it reads\n%s, want\n%s", got, want)
	}
	var wrong []string
	asha.Eval(`[...document.querySelectorAll(".message time")].filter(t => !/\d{4}/.test(t.title) || !/\d:\d\d:\d\d/.test(t.title) || !/^\d:\d\d|^1\d:\d\d/.test(t.textContent) || !/^\d{4}-\d\d-\d\dT/.test(t.dateTime)).map(t => t.outerHTML)`, &wrong)
	for _, line := range wrong {
		t.Errorf("not the full time: %s", line)
	}
	asha.Screenshot("page days desktop light")
	asha.hasNoErrors()
}
