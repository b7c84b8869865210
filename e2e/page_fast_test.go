package e2e_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"setu/e2e/browser"
	"setu/e2e/client"
	"setu/e2e/judge"
)

// withoutProgram is a script that holds the page's program back until release() is called, and gives the
// page a name, so that it is not asked for one.
const withoutProgram = `(() => {
	try { localStorage.setItem("setu.name", "Asha"); } catch { return; } // about:blank
	const real = globalThis.fetch, released = new Promise((resolve) => globalThis.release = resolve);
	globalThis.fetch = async (...a) => { if (String(a[0]).includes(".wasm")) await released; return real(...a); };
})()`

// harbourTalk has people write into the harbour, and returns the last text.
func harbourTalk(t *testing.T, relayWS string) (last string) {
	t.Helper()
	heard := judge.Record(t, judge.Rules{Kept: 256})
	cleo := client.Connect(t, client.Options{Name: "Cleo Ōkawa", History: heard, Relays: []string{relayWS}})
	dan := client.Connect(t, client.Options{Name: "Dan", History: heard, Relays: []string{relayWS}})
	cleo.Join("harbour", client.JoinOptions{})
	dan.Join("harbour", client.JoinOptions{})
	for i := range 12 {
		dan.Say("harbour", map[string]string{"text": fmt.Sprintf("The log of the harbour, entry %d.", i+1)})
	}
	for _, line := range []struct {
		who  *client.Client
		text string
	}{
		{cleo, "The ferry is in. Who takes the first crossing?"}, {cleo, "There is coffee 👋"}, {dan, "I do."},
		{dan, "See https://example.com/timetable?day=sunday for the way back, and mind that the last one leaves at 18:40 sharp. If you miss it, there is a bus from the other side of the harbour."},
		{cleo, "🎉"}, {dan, "שלום לכולם"}, {cleo, "<b>not bold</b> & not an entity &amp; <img src=x onerror=pwned(1)>"}, {dan, "one\ntwo\nthree"},
	} {
		line.who.Say("harbour", map[string]string{"text": line.text})
		last = line.text
	}
	return last
}

// visible is JavaScript: the texts of the messages that are in view.
const visible = `[...document.querySelectorAll("#list .message")].filter(m => {
	const r = m.getBoundingClientRect(), v = document.querySelector("#messages").getBoundingClientRect();
	return m.checkVisibility({ visibilityProperty: true }) && r.bottom > v.top && r.top < v.bottom - 1;
}).map(m => m.querySelector(".text").textContent)`

func numbers(list []float64) string {
	out, _ := json.Marshal(list)
	return string(out)
}

// What was said last is read before the program is there, and stays where it is when that comes.
func TestPageReadBeforeItsProgram(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	last := harbourTalk(t, relay.WS())
	b := browser.Start(t)
	for name, viewport := range map[string]browser.Viewport{"desktop light": browser.Desktop, "phone dark": browser.Phone.InDark(), "desktop dark": browser.Desktop.InDark(), "phone light": browser.Phone} {
		tab := b.Tab(t, viewport)
		tab.Prepare(witness)
		tab.Prepare(withoutProgram)
		asha := person{tab, t, "Asha", viewport.Mobile}
		asha.Open(relay.URL() + "/r/harbour")
		asha.WaitFor(fmt.Sprintf(`%s.at(-1) === %q`, visible, last), "the last message, before the program")
		before := asha.readsServed(name)
		asha.Screenshot("page before its program " + name)
		asha.watchesLast(last)
		asha.Eval(`release()`, nil)
		asha.awaitConnected(relay)
		asha.WaitFor(`document.querySelector("#people-list [data-user]") && document.querySelector(".row-day") && !document.querySelector("#list").dataset.served`, "the join to be answered")
		asha.readsTheSame(name, before)
		var witnessed []string
		if asha.Eval(`witnessed`, &witnessed); len(witnessed) > 0 {
			t.Errorf("%s: %q", name, witnessed)
		}
		asha.Screenshot("page after its program " + name)
		asha.say("Here I am, " + name)
		asha.sees("Here I am, " + name)
		last = "Here I am, " + name
		asha.hasNoErrors()
		asha.Open("about:blank")
	}
}

// served is what a page shows of a room before its program is there.
type served struct {
	Ready  bool
	Rows   int
	Texts  []string
	Tops   []float64
	Times  []string
	Markup []string
}

func (p person) readsServed(name string) (s served) {
	p.t.Helper()
	p.Eval(`(() => {
		const rows = [...document.querySelectorAll("#list .message")];
		globalThis.stood = rows;
		return { ready: "ready" in document.body.dataset, rows: rows.length, texts: `+visible+`, tops: rows.map(r => r.querySelector(".text").getBoundingClientRect().top),
			times: rows.map(r => r.querySelector("time").textContent), markup: [...document.querySelectorAll("#list b, #list img, #list script")].map(e => e.outerHTML) };
	})()`, &s)
	if s.Ready || s.Rows != 20 || len(s.Markup) > 0 {
		p.t.Errorf("%s: ready %v, %d rows, markup %v", name, s.Ready, s.Rows, s.Markup)
	}
	if strings.Join(s.Times, "") == "" {
		p.t.Errorf("%s: the messages have no times", name)
	}
	return s
}

// watchesLast has the page note from frame to frame where the last message is, if it is there once.
func (p person) watchesLast(text string) {
	p.t.Helper()
	p.Eval(`(() => {
		const seen = globalThis.frames_ = [];
		const look = () => {
			const all = [...document.querySelectorAll("#list .message .text")].filter(e => e.textContent === `+fmt.Sprintf("%q", text)+`);
			seen.push(all.length === 1 ? Math.round(all[0].getBoundingClientRect().top) : -1000 * all.length);
			requestAnimationFrame(look);
		};
		requestAnimationFrame(look);
	})()`, nil)
}

// readsTheSame looks that the program has left what was served as it was.
func (p person) readsTheSame(name string, before served) {
	p.t.Helper()
	var after struct {
		Same, Twice int
		Moved       float64
		Times       []string
		Frames      []float64
		Texts       []string
	}
	p.Eval(fmt.Sprintf(`(() => {
		const rows = [...document.querySelectorAll("#list .message")], tops = %s;
		return { same: rows.slice(-20).filter((r, i) => stood[i] === r).length, twice: rows.length - new Set(rows.map(r => r.dataset.id)).size,
			moved: Math.max(...stood.map((r, i) => Math.abs(r.querySelector(".text").getBoundingClientRect().top - tops[i]))),
			times: stood.map(r => r.querySelector("time").textContent), frames: [...new Set(frames_)], texts: %s };
	})()`, numbers(before.Tops), visible), &after)
	if after.Same != 20 || after.Twice != 0 || after.Moved > 1 || fmt.Sprint(after.Times) != fmt.Sprint(before.Times) || fmt.Sprint(after.Texts) != fmt.Sprint(before.Texts) {
		p.t.Errorf("%s: of 20 elements %d are still there, %d stand twice, moved by %v px;\n%v\n%v", name, after.Same, after.Twice, after.Moved, before.Times, after.Times)
	}
	if slices.Max(after.Frames)-slices.Min(after.Frames) > 1 {
		p.t.Errorf("%s: the last message flickers: %v", name, after.Frames)
	}
}
