package e2e_test

import (
	"fmt"
	"strconv"
	"testing"

	"setu/e2e/browser"
	"setu/e2e/client"
	"setu/e2e/cluster"
)

// wireBudget is what the page may cost over the wire, in bytes.
const wireBudget = 900_000

// person is somebody in front of the page.
type person struct {
	*browser.Tab
	t     *testing.T
	name  string
	phone bool
}

// openPage opens the page of a relay for somebody new, who chooses a name and
// arrives in the room.
func openPage(t *testing.T, b *browser.Browser, relay *cluster.Relay, name string, viewport browser.Viewport) person {
	t.Helper()
	p := meetPage(t, b, relay, name, viewport)
	p.enter(relay)
	return p
}

// meetPage opens the page up to where it asks for a name.
func meetPage(t *testing.T, b *browser.Browser, relay *cluster.Relay, name string, viewport browser.Viewport) person {
	t.Helper()
	p := person{b.Tab(t, viewport), t, name, viewport.Mobile}
	p.OpenUntil(relay.URL()+"/r/harbour", `document.body.dataset.ready !== undefined || !document.querySelector("#composer")`, "the program to run")
	var built bool
	p.Eval(`document.querySelector("#composer") !== null`, &built)
	if !built {
		skipOrFail(t, "needs the page: run go generate ./... first")
	}
	p.WaitFor(`document.querySelector("#name-dialog").open`, "the question for a name")
	return p
}

func (p person) enter(relay *cluster.Relay) {
	p.t.Helper()
	p.Type("#name", p.name)
	p.Press("Enter")
	p.awaitConnected(relay)
	p.WaitFor(`document.querySelector("#room-title").textContent.includes("harbour")`, "the room of the address")
}

func (p person) awaitConnected(relay *cluster.Relay) {
	p.t.Helper()
	p.WaitFor(fmt.Sprintf(`document.querySelector("#pill").dataset.status === "connected" && document.querySelector("#pill").dataset.relay === %q`, relay.Name()),
		p.name+" to be connected to "+relay.Name())
}

// say writes a message as people do. On a phone, Enter would break the line.
func (p person) say(text string) {
	p.t.Helper()
	p.Type("#composer", text)
	p.send()
}

func (p person) send() {
	p.t.Helper()
	if p.phone {
		p.Click("#send")
		return
	}
	p.Press("Enter")
}

// sees waits until a message stands in the list, once and sent, by its author.
func (p person) sees(text string) {
	p.t.Helper()
	p.WaitFor(fmt.Sprintf(`[...document.querySelectorAll(".message")].filter(m => m.querySelector(".text").textContent === %q && m.dataset.state === "sent").length === 1`, text),
		p.name+" to see "+strconv.Quote(text))
}

// screen is what stands in the list, from the top to the end.
func (p person) screen() (texts []string) {
	p.t.Helper()
	p.Eval(`[...document.querySelectorAll(".message .text")].map(e => e.textContent)`, &texts)
	return texts
}

// Connections that fail while a relay is away are logged by the browser itself.
var expectedErrors = []string{"WebSocket connection to", "ERR_CONNECTION_REFUSED"}

func (p person) hasNoErrors() {
	p.t.Helper()
	for _, message := range p.Errors(expectedErrors...) {
		p.t.Errorf("%s's console: %s", p.name, message)
	}
}

func TestPageOnTwoRelays(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	b := browser.Start(t)
	f := startFleet(t, cluster.RedisOptions{}, nil)
	asha := meetPage(t, b, f.dublin, "Asha", browser.Desktop)
	asha.Screenshot("page name desktop light")
	asha.enter(f.dublin)
	if got := asha.WireBytes(); got > wireBudget || got < wireBudget/10 {
		t.Errorf("the page took %d bytes over the wire: %v", got, asha.Responses())
	}
	asha.Screenshot("page empty desktop light")
	ben := openPage(t, b, f.tokyo, "Ben", browser.Phone)

	// They see one another, and what the other types and says.
	asha.WaitFor(`document.querySelectorAll("#people-list [data-user]").length === 2`, "two people")
	asha.say("Hello from Dublin")
	ben.sees("Hello from Dublin")
	asha.sees("Hello from Dublin")
	ben.Type("#composer", "Good morning fr")
	asha.WaitFor(`document.querySelector("#typing").textContent.includes("Ben")`, "Ben's typing")
	ben.say("om Tokyo")
	asha.sees("Good morning from Tokyo")
	asha.WaitFor(`!document.querySelector("#typing").textContent.includes("Ben")`, "the end of Ben's typing")
	var kept string
	ben.Eval(`document.querySelector("#composer").value`, &kept)
	if kept != "" {
		t.Errorf("what was sent still stands in Ben's field: %q", kept)
	}

	// Asha goes to another room and comes back to what she has not read.
	asha.Type("#room-input", "galley")
	asha.Press("Enter")
	asha.WaitFor(`location.pathname === "/r/galley"`, "the other room")
	ben.say("Are you there?")
	ben.say("Asha?")
	asha.WaitFor(`document.querySelector('#rooms [data-room="harbour"]').dataset.unread === "2"`, "two unread")
	asha.Screenshot("page unread desktop light")
	asha.Click(`#rooms [data-room="harbour"]`)
	asha.sees("Asha?")
	asha.WaitFor(`!document.querySelector('#rooms [data-room="harbour"]').dataset.unread`, "nothing unread")
	asha.hasNoErrors()
	ben.hasNoErrors()
}

func TestPageComesBack(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	b := browser.Start(t)
	f := startFleet(t, cluster.RedisOptions{}, nil)
	asha := openPage(t, b, f.dublin, "Asha", browser.Desktop)
	ben := openPage(t, b, f.tokyo, "Ben", browser.Desktop)
	asha.say("Before")
	ben.sees("Before")

	f.do("kill dublin", f.dublin.Kill)
	asha.WaitFor(`["waiting", "connecting"].includes(document.querySelector("#pill").dataset.status)`, "Asha to notice")
	ben.say("While you were away")
	ben.say("and once more")
	ben.sees("and once more")
	// What she writes meanwhile waits for the connection.
	asha.say("Into the dark")
	asha.WaitFor(`document.querySelector('.message[data-state="pending"]')`, "a pending message")
	asha.Screenshot("page away desktop light")
	f.do("start dublin", f.dublin.Start)
	asha.awaitConnected(f.dublin)
	for _, text := range []string{"While you were away", "and once more", "Into the dark"} {
		asha.sees(text)
		ben.sees(text)
	}
	asha.WaitFor(`!document.querySelector(".row-gap")`, "no gap")
	want := fmt.Sprint(ben.screen())
	if got := fmt.Sprint(asha.screen()); got != want {
		t.Errorf("Asha sees %s, Ben %s", got, want)
	}
	asha.Screenshot("page recovered desktop light")
	asha.WaitFor(`document.querySelectorAll("#people-list [data-user]").length === 2`, "both people")

	// Redis loses all: that is a gap, and told.
	f.do("wipe Redis", f.redis.Wipe)
	asha.WaitFor(`document.querySelector(".row-gap")`, "a gap to be told")
	ben.say("A new start")
	asha.sees("A new start")
	asha.hasNoErrors()
	ben.hasNoErrors()
}

// What people look at: rooms with people and talk in them, on every kind of
// screen. The pictures are kept for whoever designs the page.
func TestPageLooks(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	b := browser.Start(t)
	f := startFleet(t, cluster.RedisOptions{}, nil)
	f.room = "harbour"
	cleo := f.connect("Cleo Ōkawa", f.tokyo)
	dan := f.connect("Dan", f.dublin)
	cleo.Join(f.room, client.JoinOptions{})
	dan.Join(f.room, client.JoinOptions{})
	for _, line := range []struct {
		who  *client.Client
		text string
	}{
		{cleo, "The ferry is in. Who takes the first crossing?"}, {cleo, "There is coffee 👋"}, {dan, "I do."},
		{dan, "See https://example.com/timetable?day=sunday for the way back, and mind that the last one leaves at 18:40 sharp. If you miss it, there is a bus from the other side of the harbour."},
		{cleo, "🎉"}, {dan, "שלום לכולם"}, {cleo, "<b>not bold</b> & not an entity &amp;"}, {dan, "one\ntwo\nthree"},
	} {
		line.who.Say(f.room, map[string]string{"text": line.text})
	}
	screens := map[string]struct {
		who      string
		viewport browser.Viewport
	}{
		"desktop light": {"Asha", browser.Desktop}, "desktop dark": {"Ben", browser.Desktop.InDark()},
		"phone light": {"Farah", browser.Phone}, "phone dark": {"Gil", browser.Phone.InDark()},
		"wide light": {"Hanne", browser.Viewport{Width: 2560, Height: 1200}},
	}
	for name, screen := range screens {
		p := openPage(t, b, f.dublin, screen.who, screen.viewport)
		p.sees("one\ntwo\nthree")
		p.say("On my way, says " + screen.who)
		p.sees("On my way, says " + screen.who)
		var markup int
		p.Eval(`document.querySelectorAll(".text b").length`, &markup)
		if markup != 0 {
			t.Error("somebody's text became markup")
		}
		var overflow bool
		p.Eval(`document.documentElement.scrollWidth > innerWidth`, &overflow)
		if overflow {
			t.Errorf("%s: the page is wider than the screen", name)
		}
		p.Screenshot("page " + name)
		p.hasNoErrors()
		p.Open("about:blank") // that is how people leave
	}
}
