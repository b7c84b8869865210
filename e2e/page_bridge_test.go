package e2e_test

import (
	"fmt"
	"testing"

	"setu/e2e/browser"
	"setu/e2e/cluster"
)

// startBridge starts two relays on two sides of the world.
func startBridge(t *testing.T) (virginia, tokyo *cluster.Relay) {
	t.Helper()
	cluster.Require(t)
	network := cluster.NewNetwork(t)
	redis := cluster.StartRedis(t, network, cluster.RedisOptions{})
	start := func(name, region string) *cluster.Relay {
		return cluster.StartRelay(t, network, cluster.RelayOptions{Name: name, Region: region, Redis: redis})
	}
	return start("virginia", "iad"), start("tokyo", "nrt")
}

// isInRegion waits until the page is connected to a relay.
func (p person) isInRegion(region, relay string) {
	p.t.Helper()
	p.WaitFor(fmt.Sprintf(`(({ status, region, relay }) => status === "connected" && region === %q && relay === %q)(document.querySelector("#pill").dataset)`, region, relay),
		p.name+" to come in through "+region)
}

// shows waits until an element has a text.
func (p person) shows(selector, pattern, what string) {
	p.t.Helper()
	p.WaitFor(fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.checkVisibility() && new RegExp(%q, "u").test(e.textContent))`, selector, pattern), p.name+" to see "+what)
}

// inPopover opens the pill's details and has a look at them.
func (p person) inPopover(look func()) {
	p.t.Helper()
	p.Click("#pill")
	p.WaitFor(`document.querySelector("#connection").matches(":popover-open")`, "the details")
	look()
	p.Press("Escape")
	p.WaitFor(`!document.querySelector("#connection").matches(":popover-open")`, "the details to close")
}

// A newcomer is told what this is, and can see it with a second tab: one comes in by another region, and what
// the first says is heard there.
func TestPageShowsTheBridge(t *testing.T) {
	t.Parallel()
	virginia, tokyo := startBridge(t)
	b := browser.Start(t)
	asha := openPage(t, b, virginia, "Asha", browser.Desktop)
	asha.isInRegion("iad", "virginia")
	asha.shows("#empty-text", `came in through Virginia, others through Tokyo`, "what this is")
	asha.shows("#empty-through", `^Open a second tab through Tokyo$`, "the way to see it")
	asha.Screenshot("page bridge empty desktop light")

	var href, target string
	asha.Eval(`document.querySelector("#empty-through").getAttribute("href")`, &href)
	if asha.Eval(`document.querySelector("#empty-through").target`, &target); target != "_blank" {
		t.Errorf("the way leads into %q", target)
	}
	second := person{asha.Beside(t, browser.Desktop), t, "Asha's second tab", false}
	second.Open(virginia.URL() + href)
	second.isInRegion("nrt", "tokyo")
	second.WaitFor(`location.pathname === "/r/harbour" && location.search === "?region=nrt"`, "the address to stay")
	for _, p := range []person{asha, second} {
		p.shows("#people-list [data-user]", `Asha· Virginia, Tokyo`, "where she is")
	}
	asha.WaitFor(`(() => {
		const [name, place] = [".person-name bdi", ".person-place"].map(s => document.querySelector("#people-list " + s).getBoundingClientRect());
		return place.left - name.right < 12;
	})()`, "her place beside her name")

	asha.say("Is anybody there?")
	second.sees("Is anybody there?")
	asha.shows(".message .way", `^Stored in (<1|\d+) ms · heard in Tokyo · no\. 1$`, "the way of what she said")
	second.say("I am, on the other side")
	second.shows(".message .way", `^Stored in (<1|\d+) ms · heard in Virginia · no\. 2$`, "the way of what she said there")
	asha.sees("I am, on the other side")
	asha.WaitFor(`document.querySelectorAll(".way").length === 0 && document.querySelector(".message time").title.includes("heard in Tokyo")`, "the way to be told of her newest alone, and in the titles")
	asha.Screenshot("page bridge way desktop light")

	second.Open("about:blank")
	asha.WaitFor(`/Asha· Virginia(?!, Tokyo)/.test(document.querySelector("#people-list").textContent)`, "her to be in one place again")
	ben := openPage(t, b, tokyo, "Ben", browser.Phone)
	asha.shows("#people-list [data-user]", `Ben· Tokyo`, "Ben in Tokyo")
	asha.shows(".row-note", `^\u2068Ben\u2069 is on the other side of the world$`, "how far away he is")
	asha.WaitFor(`[...document.querySelectorAll("#people-list [data-user]")].some(e => e.title === "Ben · Tokyo, relay tokyo")`, "his relay on hover")
	ben.say("Good morning")
	asha.sees("Good morning")
	asha.WaitFor(`document.querySelector('.message[data-author] .author').title === "Ben · Tokyo"`, "where Ben wrote it")
	ben.Open(tokyo.URL() + "/r/harbour")
	ben.awaitConnected(tokyo)
	ben.say("Still here")
	asha.sees("Still here")
	var notes int
	if asha.Eval(`document.querySelectorAll(".row-note").length`, &notes); notes != 1 {
		t.Errorf("it is said %d times that Ben is far away", notes)
	}
	asha.Screenshot("page bridge people desktop light")
	ben.Screenshot("page bridge phone light")
	asha.hasNoErrors()
	ben.hasNoErrors()
}

// The pill opens a drawing of the way to Redis and back, what has happened to the connection, and ways to come in
// elsewhere: by the pointer, by the keyboard, and as text.
func TestPageDrawsTheBridge(t *testing.T) {
	t.Parallel()
	virginia, tokyo := startBridge(t)
	b := browser.Start(t)
	startWriter(t, tokyo, "Ben", "harbour")
	for _, screen := range []struct {
		name     string
		viewport browser.Viewport
	}{
		{"desktop light", browser.Desktop}, {"desktop dark", browser.Desktop.InDark()},
		{"phone light", browser.Phone}, {"phone dark", browser.Phone.InDark()},
		{"wide light", browser.Viewport{Width: 2560, Height: 1440}},
	} {
		p := openPage(t, b, virginia, "Asha", screen.viewport)
		p.shows("#pill-label", `^Virginia · (<1|\d+) ms$`, "the city and the round trip")
		p.WaitFor(`document.querySelectorAll("#people-list [data-user]").length >= 2`, "the people")
		p.Screenshot("page bridge closed " + screen.name)
		p.Click("#pill")
		p.shows("#fact-redis", `^(<1|\d+) ms$`, "the relay's way to Redis")
		p.shows(".span-drawing text", `^Redis$`, "Redis in the drawing")
		p.shows(".span-drawing text", `^Tokyo$`, "Tokyo in the drawing")
		p.WaitFor(`/^You are connected to the relay in Virginia, (<1|\d+) ms there and back\. Behind it is Redis, which all relays share, (<1|\d+) ms there and back\. On the other side: Tokyo\.$/.test(document.querySelector("#bridge svg").getAttribute("aria-label"))`, "the drawing in words")
		p.Screenshot("page bridge drawing " + screen.name)
		var inside bool
		if p.Eval(`(({ left, right, top, bottom }) => left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight)(document.querySelector("#connection").getBoundingClientRect())`, &inside); !inside {
			t.Errorf("%s: the details are not whole on the screen", screen.name)
		}
		p.Press("Escape")
		p.WaitFor(`!document.querySelector("#connection").matches(":popover-open")`, "the details to close")
		p.hasNoErrors()
		p.Open("about:blank")
	}

	// By the keyboard: Enter opens, Tab leads to the ways, Escape closes that alone.
	p := openPage(t, b, virginia, "Cleo", browser.Desktop)
	p.Type("#composer", "a draft")
	p.Eval(`document.querySelector("#pill").focus()`, nil)
	p.Press("Enter")
	p.shows("#ways a", `^through Tokyo$`, "the way through Tokyo")
	p.Press("Tab")
	p.WaitFor(`document.activeElement.dataset.through === "nrt" && document.activeElement.getAttribute("href") === "/r/harbour?region=nrt"`, "the way to be reached")
	p.Press("Escape")
	p.WaitFor(`!document.querySelector("#connection").matches(":popover-open") && document.querySelector("#composer").value === "a draft" && document.activeElement.id === "pill"`, "the details alone to close")
}

// What happened to the connection is counted, and an unknown region, or one of which no relay takes anybody, is
// answered by a sentence and another region.
func TestPageThroughNoRegion(t *testing.T) {
	t.Parallel()
	virginia, _ := startBridge(t)
	b := browser.Start(t)
	p := person{b.Tab(t, browser.Desktop), t, "Asha", false}
	p.Prepare(unplug)
	p.OpenUntil(virginia.URL()+"/r/harbour?region=gru", `document.body.dataset.ready !== undefined`, "the program to run")
	p.Type("#name", "Asha")
	p.Press("Enter")
	p.isInRegion("iad", "virginia")
	p.shows("#toast", `^No relay in São Paulo takes you now: you came in through Virginia$`, "where she came in")

	ben := startWriter(t, virginia, "Ben", "harbour")
	p.sees(ben.count("harbour", 1))
	p.Eval(`unplug()`, nil)
	p.WaitFor(`document.querySelector("#pill").dataset.status !== "connected"`, "her to be away")
	last := ben.count("harbour", 8)
	p.Eval(`plugIn()`, nil)
	p.sees(last)
	p.inPopover(func() {
		p.shows("#fact-reconnects", `^1$`, "that she was away once")
		p.shows("#fact-recovered", `^7$`, "what was recovered")
		p.shows("#fact-missed", `^nothing$`, "that nothing was missed")
	})
	p.Eval(`unplug()`, nil)
	p.WaitFor(`document.querySelector("#pill").dataset.status !== "connected"`, "her to be away")
	last = ben.count("harbour", 308)
	p.Eval(`plugIn()`, nil)
	p.sees(last)
	p.inPopover(func() {
		p.shows("#fact-reconnects", `^2$`, "that she was away twice")
		p.shows("#fact-missed", `^\d+ messages$`, "how many were missed for good")
	})
}
