package e2e_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"setu/e2e/browser"
	"setu/e2e/client"
	"setu/e2e/cluster"
	"setu/e2e/judge"
	"setu/relay/wiretest"
)

// unplug is a script that gives the page's network a plug: unplug() takes it away, and plugIn() brings it
// back.
const unplug = `(() => {
	const Real = WebSocket, open = new Set();
	let away = false;
	globalThis.WebSocket = class extends Real {
		constructor(...a) { super(...a); open.add(this); if (away) this.close(); }
		send(data) { if (this.readyState === Real.OPEN) super.send(data); } // what goes into the dark is no error
	};
	globalThis.unplug = () => { away = true; open.forEach(s => s.close()); };
	globalThis.plugIn = () => { away = false; dispatchEvent(new Event("online")); };
})()`

// openWithPlug opens Asha's page in a browser of its own, with a plug.
func openWithPlug(t *testing.T, relay *cluster.Relay) person {
	t.Helper()
	asha := person{browser.Start(t).Tab(t, browser.Desktop), t, "Asha", false}
	asha.Prepare(unplug)
	asha.OpenUntil(relay.URL()+"/r/harbour", `document.body.dataset.ready !== undefined`, "the program to run")
	asha.enter(relay)
	return asha
}

// startLoneRelay starts a relay without Redis.
func startLoneRelay(t testing.TB) *cluster.Relay {
	t.Helper()
	cluster.Require(t)
	return cluster.StartRelay(t, cluster.NewNetwork(t), cluster.RelayOptions{Name: "dublin", Region: "dub"})
}

// writer is somebody in a room who writes numbers.
type writer struct {
	*client.Client
	last int
}

func startWriter(t *testing.T, relay *cluster.Relay, name, room string) *writer {
	t.Helper()
	w := &writer{Client: client.Connect(t, client.Options{Name: name, History: judge.Record(t, judge.Rules{Kept: 256}), Relays: endpoints([]*cluster.Relay{relay})})}
	w.Join(room, client.JoinOptions{})
	return w
}

// count writes the numbers up to last, and returns that.
func (w *writer) count(room string, last int) string {
	for ; w.last < last; w.last++ {
		w.Say(room, map[string]string{"text": strconv.Itoa(w.last + 1)})
	}
	return strconv.Itoa(last)
}

// around returns what is written above and below a row.
func (p person) around(row string) string {
	p.t.Helper()
	var beside string
	p.Eval(fmt.Sprintf(`(() => {
		const beside = (step) => { let e = document.querySelector(%q); do e = e?.[step]; while (e && !e.matches(".message")); return e?.querySelector(".text").textContent ?? ""; };
		return beside("previousElementSibling") + " | " + beside("nextElementSibling");
	})()`, row), &beside)
	return beside
}

// scrollsUpTo scrolls up to a row, as often as it takes until that says something.
func (p person) scrollsUpTo(row, text string) {
	p.t.Helper()
	p.WaitFor(fmt.Sprintf(`(() => {
		const row = document.querySelector(%q);
		if (row) row.scrollIntoView({ block: "center" });
		else document.querySelector("#messages").scrollTop = 0;
		return row?.textContent.includes(%q);
	})()`, row, text), row+" to say "+text)
}

// Where a page can't work it says so, and nothing covers that. Where there is nothing, it leads on.
func TestPageThatCannotBe(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	p := person{b.Tab(t, browser.Phone), t, "Asha", true}
	p.Open(relay.URL() + "/harbour")
	p.WaitFor(`document.querySelector("h1").checkVisibility() && document.body.innerText.includes("/r/")`, "a page that says how rooms are addressed")
	p.Screenshot("page nothing phone")
	p.Click(`a[href="/"]`)
	p.WaitFor(`document.querySelector("#name-dialog")?.open`, "the chat")

	p.Prepare(`delete globalThis.WebAssembly`)
	p.Open(relay.URL() + "/r/harbour")
	p.WaitFor(`document.querySelector("#fatal").checkVisibility() && document.querySelector("#fatal-text").textContent.includes("WebAssembly")`, "the sentence")
	var covered string
	p.Eval(`(() => { const r = document.querySelector("#fatal-text").getBoundingClientRect(); return document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2)?.id ?? ""; })()`, &covered)
	var asked bool
	if p.Eval(`document.querySelector("#name-dialog").open`, &asked); asked || covered != "fatal-text" {
		t.Errorf("asked for a name: %v; over the sentence lies %q", asked, covered)
	}
	p.Screenshot("page without WebAssembly phone")
}

// What one has missed stands where it belongs, and comes when one goes there.
func TestPageTellsWhatWasMissed(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	tab := b.Tab(t, browser.Desktop)
	tab.Prepare(unplug)
	asha := person{tab, t, "Asha", false}
	visit := func() {
		asha.OpenUntil(relay.URL()+"/r/harbour", `document.body.dataset.ready !== undefined`, "the program to run")
	}
	visit()
	asha.enter(relay)
	ben := startWriter(t, relay, "Ben", "harbour")
	asha.sees(ben.count("harbour", 1))
	asha.WaitFor(`localStorage.getItem("setu.seen.harbour")?.startsWith("1 ")`, "it to be read")

	// Away with the page: 100 more are written, and 60 loaded.
	asha.Open("about:blank")
	last := ben.count("harbour", 101)
	visit()
	asha.sees(last)
	asha.WaitFor(`document.querySelector("#unread-since").checkVisibility() && document.querySelector("#unread-since").textContent.startsWith("100 new since ")`, "how much is new")
	asha.Screenshot("page new since desktop")
	asha.Click("#unread-since")
	asha.WaitFor(`(() => { const line = document.querySelector(".row-unread")?.getBoundingClientRect(), list = document.querySelector("#messages").getBoundingClientRect(); return line && line.top >= list.top && line.bottom < list.bottom; })()`, "the line")
	if got := asha.around(".row-unread"); got != "1 | 2" {
		t.Errorf("the line stands between %s", got)
	}
	asha.WaitFor(`!document.querySelector("#unread-since").checkVisibility()`, "no more to be said")
	asha.Screenshot("page new line desktop")

	// Away without a network: 300 more are written, of which 256 are kept.
	asha.Press("Escape")
	asha.sees(last)
	asha.Eval(`unplug()`, nil)
	asha.WaitFor(`document.querySelector("#pill").dataset.status !== "connected"`, "her to be away")
	last = ben.count("harbour", 401)
	asha.Eval(`plugIn()`, nil)
	asha.awaitConnected(relay)
	asha.sees(last)
	asha.scrollsUpTo(".row-gap", "44 messages are no longer kept")
	if got := asha.around(".row-gap"); got != "101 | 146" {
		t.Errorf("the gap is between %s", got)
	}
	asha.Screenshot("page gap desktop")

	// What the relay no longer has is not where the room begins.
	visit()
	asha.sees(last)
	asha.scrollsUpTo(".row-start", "145 older messages are no longer kept.")
	asha.hasNoErrors()
}

// When the browser says that the network is gone, or somebody comes back to the page, it finds out whether it is
// connected.
func TestPageNoticesThatItIsOffline(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	asha := openPage(t, browser.Start(t), relay, "Asha", browser.Phone.InDark())
	asha.WaitFor(`Number(document.querySelector("#pill").dataset.rtt) >= 0 && document.querySelector("#pill").innerText.includes("ms")`, "a round trip")
	for _, sign := range []string{`dispatchEvent(new Event("offline"))`, `document.dispatchEvent(new Event("visibilitychange"))`} {
		relay.Pause()
		stalls, begun := wiretest.WatchStalls(t), time.Now()
		asha.Eval(sign, nil)
		asha.WaitFor(`document.querySelector("#pill").dataset.status !== "connected"`, "her to notice")
		if took := stalls.Since(begun); took > 15*time.Second { // by its heartbeat it would in 45
			t.Errorf("%s: noticed after %v", sign, took)
		}
		relay.Unpause()
		asha.Eval(`dispatchEvent(new Event("online"))`, nil)
		asha.awaitConnected(relay)
	}
}

// Small things that people stumble over.
func TestPageManners(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	asha := openWithPlug(t, relay)
	ben := startWriter(t, relay, "Ben", "harbour")
	asha.say("Hello")
	asha.say("everybody")
	asha.sees("everybody")
	asha.sees(ben.count("harbour", 40))
	asha.sees("everybody") // again: while many come, no more is in the document than fills the view

	// Escape closes what is open, and nothing else.
	asha.Eval(`document.querySelector("#messages").scrollTop = 100`, nil)
	asha.WaitFor(`document.querySelector("#to-end").checkVisibility()`, "the way to the end")
	asha.Click("#pill")
	asha.WaitFor(`document.querySelector("#connection").matches(":popover-open")`, "the popover")
	asha.Press("Escape")
	asha.WaitFor(`!document.querySelector("#connection").matches(":popover-open")`, "the popover to close")
	asha.Eval(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))`, nil)
	var top float64
	if asha.Eval(`document.querySelector("#messages").scrollTop`, &top); top != 100 {
		t.Errorf("the list has scrolled to %v", top)
	}

	// What is said for a moment covers nothing.
	asha.Click("#share")
	asha.WaitFor(`document.querySelector("#toast").checkVisibility()`, "the link to be copied")
	var covered bool
	asha.Eval(`(() => { const a = document.querySelector("#toast").getBoundingClientRect(), b = document.querySelector("#to-end").getBoundingClientRect(); return a.bottom > b.top && b.bottom > a.top && a.right > b.left && b.right > a.left; })()`, &covered)
	if covered {
		t.Error("the toast covers the way to the end")
	}
	asha.Screenshot("page toast desktop")

	// A group that is copied has its author once.
	var copied string
	asha.Eval(`(() => { const s = getSelection(); s.selectAllChildren(document.querySelector("#list")); const text = s.toString(); s.removeAllRanges(); return text; })()`, &copied)
	if lines := strings.Fields(copied); count(lines, "Ben") != 1 || count(lines, "You") != 1 || count(lines, "everybody") != 1 || count(lines, "40") != 1 {
		t.Errorf("copied: %q", copied)
	}

	// Another name, and then not.
	asha.Click("#me")
	asha.Insert("#name", "x")
	asha.Click("#name-cancel")
	asha.WaitFor(`!document.querySelector("#name-dialog").open && document.querySelector("#me-name").textContent === "Asha" && document.activeElement.id === "composer"`, "her old name, and the focus where one writes")

	// Two rooms are told apart.
	asha.Type("#room-input", "Harbour")
	asha.Press("Enter")
	asha.WaitFor(`document.querySelector("#toast").checkVisibility() && document.querySelector("#toast").textContent === "“Harbour” and “harbour” are two rooms"`, "that these are two")
	asha.WaitFor(`document.querySelector("#empty-text").textContent.includes("“harbour”, in your list, is another room")`, "where the other one is")
	asha.Screenshot("page twins desktop")

	// What was not sent in a room that one leaves is kept, said, and there when one goes back.
	asha.Eval(`unplug()`, nil)
	asha.say("Not yet")
	asha.WaitFor(`document.querySelector('.message[data-state="pending"]')`, "a message that waits")
	asha.Eval(`document.querySelector('[data-leave="Harbour"]').click()`, nil)
	asha.WaitFor(`location.pathname === "/r/harbour" && document.querySelector("#toast").textContent.includes("1 message is not sent")`, "what becomes of it")
	asha.Eval(`plugIn(); history.back()`, nil)
	asha.WaitFor(`location.pathname === "/r/Harbour" && document.querySelector('#rooms [data-room="Harbour"][aria-current]')`, "the room that she left")
	asha.awaitConnected(relay)
	asha.sees("Not yet")
	asha.hasNoErrors()
}

// What waited in a room that was left is sent once one is back in it, whatever has become of the try before: the
// relay may answer that she is not in the room before she is, while her page enters it, or when it has.
func TestPageSendsWhatWasLeft(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	asha := openWithPlug(t, relay)
	asha.Type("#room-input", "galley")
	asha.Press("Enter")
	asha.WaitFor(`location.pathname === "/r/galley"`, "the galley")
	asha.say("first")
	asha.sees("first")
	for n, between := range []string{"", "200", "40", "20", "10", "5", "0"} {
		text := fmt.Sprint("waiting ", n)
		asha.Eval(`unplug()`, nil)
		asha.say(text)
		asha.WaitFor(`document.querySelector('.message[data-state="pending"]')`, "a message that waits")
		asha.Eval(`document.querySelector('[data-leave="galley"]').click()`, nil)
		asha.WaitFor(`location.pathname === "/r/harbour"`, "the other room")
		asha.Eval(`plugIn()`, nil)
		if between == "" {
			asha.awaitConnected(relay)
			asha.say("back") // its answer comes after the one to what waited
			asha.sees("back")
		}
		asha.Eval(`new Promise(done => setTimeout(done, `+cmp.Or(between, "0")+`)).then(() => history.back())`, nil)
		asha.WaitFor(`location.pathname === "/r/galley" && document.querySelector('#rooms [data-room="galley"][aria-current]')`, "the room that she left")
		asha.awaitConnected(relay)
		asha.sees(text)
	}
	asha.hasNoErrors()
}

func count(list []string, what string) (n int) {
	for _, s := range list {
		if s == what {
			n++
		}
	}
	return n
}

// All tabs of a browser are one person's.
func TestPageInSeveralTabs(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	one := openPage(t, browser.Start(t), relay, "Asha", browser.Desktop)
	ben := startWriter(t, relay, "Ben", "harbour")
	ben.Join("galley", client.JoinOptions{})
	two := person{one.Beside(t, browser.Desktop), t, "Asha", false}
	two.OpenUntil(relay.URL()+"/r/harbour", `document.body.dataset.ready !== undefined`, "the program to run")
	two.awaitConnected(relay)

	// Rooms.
	rooms := func(names ...string) {
		t.Helper()
		for _, p := range []person{one, two} {
			p.WaitFor(fmt.Sprintf(`[...document.querySelectorAll("#rooms [data-room]")].map(a => a.dataset.room).join() === %q`, strings.Join(names, ",")), "the rooms "+strings.Join(names, ", "))
		}
		var stored []string
		if one.Eval(`JSON.parse(localStorage.getItem("setu.rooms"))`, &stored); !slices.Equal(stored, names) {
			t.Errorf("stored: %q", stored)
		}
	}
	one.Type("#room-input", "galley")
	one.Press("Enter")
	rooms("harbour", "galley")
	two.Type("#room-input", "pier")
	two.Press("Enter")
	rooms("harbour", "galley", "pier")
	one.Eval(`document.querySelector('[data-leave="pier"]').click()`, nil)
	rooms("harbour", "galley")
	two.WaitFor(`location.pathname !== "/r/pier"`, "another room")

	// What one has read, and what not.
	for _, p := range []person{one, two} {
		p.Click(`#rooms [data-room="harbour"]`)
		p.WaitFor(`location.pathname === "/r/harbour"`, "the harbour")
	}
	text := ben.count("galley", 3)
	for _, p := range []person{one, two} {
		p.WaitFor(`document.querySelector('#rooms [data-room="galley"]').dataset.unread === "3" && document.title.startsWith("(3) ")`, "three unread")
	}
	two.Click(`#rooms [data-room="galley"]`)
	two.sees(text)
	one.WaitFor(`document.querySelector('#rooms [data-room="galley"]').dataset.unread === undefined && document.title === "harbour"`, "nothing unread")

	// A name, which others see at once under whatever the tabs write, as they see who comes.
	one.Click("#me")
	one.Insert("#name", "Anila")
	one.Press("Enter")
	two.WaitFor(`document.querySelector("#me-name").textContent === "Anila"`, "her name in the other tab")
	for _, p := range []person{one, two} {
		p.awaitConnected(relay)
		p.WaitFor(`[...document.querySelectorAll("#people-list [data-user]")].map(e => e.querySelector("bdi").textContent).join() === "Anila,Ben"`, "the people")
	}
	one.WaitFor(`location.pathname === "/r/harbour"`, "the room to be shown")
	stalls, begun := wiretest.WatchStalls(t), time.Now()
	startWriter(t, relay, "Cleo", "harbour")
	one.WaitFor(`document.querySelectorAll("#people-list [data-user]").length === 3`, "Cleo")
	if took := stalls.Since(begun); took > 10*time.Second {
		t.Errorf("who comes is seen after %v", took)
	}

	keepsDraftBeside(t, one, two)
	one.hasNoErrors()
	two.hasNoErrors()
}

// keepsDraftBeside sees that what is written in one tab stays a draft, though nothing is written in the other.
func keepsDraftBeside(t *testing.T, one, two person) {
	t.Helper()
	two.Click(`#rooms [data-room="harbour"]`)
	two.WaitFor(`location.pathname === "/r/harbour" && document.querySelector("#composer").value === ""`, "the harbour")
	one.Insert("#composer", "Half a thought")
	one.WaitFor(`localStorage.getItem("setu.draft.harbour") === "Half a thought"`, "the draft")
	two.Eval(`new Promise(done => {
		document.querySelector("#composer").dispatchEvent(new Event("input"));
		requestAnimationFrame(() => requestAnimationFrame(() => done()));
	})`, nil)
	two.Click(`#rooms [data-room="galley"]`)
	two.WaitFor(`location.pathname === "/r/galley"`, "the galley")
	var draft string
	if one.Eval(`localStorage.getItem("setu.draft.harbour")`, &draft); draft != "Half a thought" {
		t.Errorf("the draft has become %q", draft)
	}
}
