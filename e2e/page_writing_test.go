package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"setu/e2e/browser"
)

// misdirect is a script that sends what is published elsewhere, as often as misdirected says: which the relay refuses.
const misdirect = `(() => {
	globalThis.misdirected = 0;
	const send = WebSocket.prototype.send;
	WebSocket.prototype.send = function (data) { send.call(this, /^42\d+\["publish"/.test(data) && misdirected-- > 0 ? data.replace('"room":"harbour"', '"room":"nowhere"') : data); };
})()`

// writes waits until a text stands in the composer.
func (p person) writes(text string) {
	p.t.Helper()
	p.WaitFor(fmt.Sprintf(`document.querySelector("#composer").value === %q`, text), p.name+" to find in the composer "+fmt.Sprintf("%.40q", text))
}

// goesTo opens a room of the list.
func (p person) goesTo(room string) {
	p.t.Helper()
	p.Click(fmt.Sprintf(`#rooms [data-room=%q]`, room))
	p.WaitFor(fmt.Sprintf(`document.querySelector("#room-title").textContent === %q`, room), p.name+" to be in "+room)
}

// What the keys do where one writes, from before the program is there.
func TestPageWriting(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Prepare(withoutProgram)
	asha := person{tab, t, "Asha", false}
	asha.Open(relay.URL() + "/r/harbour")
	asha.Insert("#composer", "Written before")
	asha.Eval(`release()`, nil)
	asha.awaitConnected(relay)
	asha.writes("Written before")
	asha.WaitFor(`document.activeElement.id === "composer"`, "the focus to stay")

	// Shift breaks the line; what an input method does with Enter sends nothing.
	asha.Press("Shift+Enter")
	asha.writes("Written before\n")
	asha.Insert("#composer", "the program")
	var taken []bool
	asha.Eval(`[{ isComposing: true }, { keyCode: 229 }].map(how => !document.querySelector("#composer").dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...how })))`, &taken)
	asha.Eval(rests, nil)
	if got := asha.screen(); len(got) > 0 || fmt.Sprint(taken) != "[false false]" {
		t.Errorf("while composing, Enter was taken: %v, and sent %q", taken, got)
	}
	asha.Press("Enter")
	asha.sees("Written before\nthe program")
	asha.writes("")

	// What is too long is refused, whole, with the number that says by how much.
	long := strings.Repeat("long ", 20_000)
	asha.Insert("#composer", long)
	asha.WaitFor(`document.querySelector("#counter").checkVisibility() && "over" in document.querySelector("#counter").dataset && /\d,\d{3}/.test(document.querySelector("#counter").textContent) && document.querySelector("#send").disabled`, "the counter")
	asha.Press("Enter")
	asha.Eval(rests, nil)
	asha.screenIs("Written before\nthe program")
	var length int
	if asha.Eval(`document.querySelector("#composer").value.length`, &length); length != len(long) {
		t.Errorf("of %d characters %d are left", len(long), length)
	}
	asha.Screenshot("page too long desktop light")
	asha.Eval(`document.querySelector("#composer").select()`, nil)
	asha.Press("Backspace")
	asha.WaitFor(`!document.querySelector("#counter").checkVisibility()`, "no counter")

	// ArrowUp brings back the last text into an empty composer; / leads there, and writes nothing.
	asha.Press("ArrowUp")
	asha.writes("Written before\nthe program")
	asha.Eval(`document.activeElement.blur()`, nil)
	asha.Press("/")
	asha.WaitFor(`document.activeElement.id === "composer"`, "the focus where one writes")
	asha.writes("Written before\nthe program")
	asha.hasNoErrors()
}

// What is being written stays with its room, over whatever happens to the page.
func TestPageKeepsDrafts(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	asha := openPage(t, b, relay, "Asha", browser.Desktop)
	asha.Insert("#composer", "for the harbour")
	asha.Type("#room-input", "galley")
	asha.Press("Enter")
	asha.WaitFor(`document.querySelector("#room-title").textContent === "galley"`, "the galley")
	asha.writes("")
	asha.Insert("#composer", "for the galley")
	asha.goesTo("harbour")
	asha.writes("for the harbour")
	asha.goesTo("galley")
	asha.writes("for the galley")
	asha.Eval(`document.querySelector('[data-leave="galley"]').click()`, nil)
	asha.writes("for the harbour")
	asha.OpenUntil(relay.URL()+"/r/harbour", `document.body.dataset.ready !== undefined`, "the program to run")
	asha.writes("for the harbour")
	asha.Type("#room-input", "galley")
	asha.Press("Enter")
	asha.WaitFor(`document.querySelector("#room-title").textContent === "galley"`, "the galley")
	asha.writes("for the galley")
	asha.hasNoErrors()

	// With a finger, Enter breaks the line and the button sends.
	ben := openPage(t, b, relay, "Ben", browser.Phone)
	ben.Insert("#composer", "one")
	ben.Press("Enter")
	ben.Insert("#composer", "two")
	ben.writes("one\ntwo")
	ben.Click("#send")
	ben.sees("one\ntwo")
	ben.hasNoErrors()
}

// A message stands there at once, under way, and its own element is the sent one. One that is refused keeps its
// text, and one that has not been sent outlives the page.
func TestPageSendsWhatIsWritten(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	tab := browser.Start(t).Tab(t, browser.Desktop)
	tab.Prepare(farRelay)
	tab.Prepare(unplug)
	tab.Prepare(misdirect)
	asha := person{tab, t, "Asha", false}
	visit := func() {
		t.Helper()
		asha.OpenUntil(relay.URL()+"/r/harbour", isConnected, "her connection")
		asha.WaitFor(`document.querySelector("#people-list [data-user]")`, "the join to be answered")
	}
	visit()
	var at struct{ State, Time, Kept string }
	asha.Eval(`(async () => {
		const composer = document.querySelector("#composer");
		await new Promise((done) => setTimeout(done, 200));
		composer.value = "At once";
		composer.dispatchEvent(new Event("input", { bubbles: true }));
		document.querySelector("#composer-form").requestSubmit();
		await new Promise(requestAnimationFrame);
		globalThis.stood = document.querySelector(".message[data-own]");
		return { state: stood?.dataset.state ?? "none", time: stood?.querySelector("time").textContent ?? "", kept: composer.value };
	})()`, &at)
	if at.State != "pending" || at.Time != "Sending…" || at.Kept != "" {
		t.Errorf("a frame later: %+v", at)
	}
	asha.sees("At once")
	asha.WaitFor(`/\d:\d\d/.test(stood.querySelector("time").textContent) && document.querySelector(".message[data-own]") === stood`, "its own element to say when it was stored")

	// Refused: tried again, and taken back.
	asha.Eval(`misdirected = 1`, nil)
	asha.say("Refused once")
	asha.WaitFor(`document.querySelector('.message[data-state="failed"]')?.textContent.includes("Not sent: ")`, "the refusal")
	asha.Screenshot("page refused desktop light")
	asha.Click(`[data-do="retry"]`)
	asha.sees("Refused once")
	asha.WaitFor(`!document.querySelector(".failed")`, "no refusal")
	asha.Eval(`misdirected = 1`, nil)
	asha.say("Taken back")
	asha.Click(`.message[data-state="failed"] [data-do="discard"]`)
	asha.writes("Taken back")
	asha.WaitFor(`document.querySelectorAll("#list .message").length === 2`, "what was taken back to be gone")
	asha.screenIs("At once", "Refused once")
	asha.Eval(`document.querySelector("#composer").select()`, nil)
	asha.Press("Backspace")

	// Not sent before the page is left.
	asha.Eval(`unplug()`, nil)
	asha.WaitFor(`document.querySelector("#pill").dataset.status !== "connected"`, "her to be away")
	asha.say("Written in the dark")
	asha.WaitFor(`document.querySelector('.message[data-state="pending"]')`, "a message that waits")
	visit()
	asha.sees("Written in the dark")
	asha.screenIs("At once", "Refused once", "Written in the dark")
	asha.hasNoErrors()
}
