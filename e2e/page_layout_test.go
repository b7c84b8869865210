package e2e_test

import (
	"bytes"
	"fmt"
	"image/png"
	"strings"
	"testing"

	"setu/e2e/browser"
	"setu/e2e/client"
	"setu/e2e/cluster"
)

// leaves is JavaScript: how many pixels of the list lie below the view.
const leaves = `(m => Math.round(m.scrollHeight - m.scrollTop - m.clientHeight))(document.querySelector("#messages"))`

// Who is near the end but not at it stays as far from it, whatever the composer needs. What is new leads to the
// end, and so does what is one's own.
func TestPageKeepsItsPlaceNearTheEnd(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	ben := startWriter(t, relay, "Ben", "harbour")
	last := ben.count("harbour", 60)
	asha := openPage(t, browser.Start(t), relay, "Asha", browser.Desktop)
	asha.sees(last)
	asha.WaitFor(atEnd, "the end")
	asha.Eval(`globalThis.full = document.querySelector("#messages").clientHeight`, nil)
	for _, below := range []int{60, 20, 0} {
		asha.scrollsUp(below)
		stays := func(room, when string) {
			t.Helper()
			asha.WaitFor(`document.querySelector("#messages").clientHeight `+room, "the view to change "+when)
			asha.Eval(rests, nil)
			var now int
			if asha.Eval(leaves, &now); now != below {
				t.Errorf("%s: %d pixels below the view instead of %d", when, now, below)
			}
		}
		asha.Hover(".message:nth-last-child(4)")
		asha.Click(`#actions [data-do="reply"]`)
		stays("< full", "with a reply")
		asha.Press("Escape")
		stays("=== full", "without it")
		asha.Insert("#composer", "one\ntwo\nthree\nfour")
		stays("< full", "above four lines")
		asha.Eval(`document.querySelector("#composer").select()`, nil)
		asha.Press("Backspace")
		stays("=== full", "above none")
	}

	// What somebody gives to a message moves nothing.
	asha.scrollsUp(40)
	var before sight
	asha.Eval(eye, &before)
	asha.opensBar("55")
	asha.Click(`#actions [data-open="quick"]`)
	asha.Click(`#actions [data-value="👍"]`)
	asha.isGiven("55", "👍, 1, you too")
	asha.Eval(rests, nil)
	asha.stillSees(before, "as a reaction is given")
	for _, comes := range []func(){
		func() { asha.sees(ben.count("harbour", 61)) },
		func() { asha.say("My own"); asha.sees("My own") },
		func() { asha.Press("Escape") },
	} {
		asha.scrollsUp(60)
		comes()
		asha.WaitFor(atEnd, "the end")
	}
	asha.hasNoErrors()
}

// Who asks with the mouse and thinks better of it has the bar where the mouse is then, and nowhere else.
func TestPageBarGoesWithTheMouse(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	ben := startWriter(t, relay, "Ben", "harbour")
	asha := openPage(t, browser.Start(t), relay, "Asha", browser.Desktop)
	asha.sees(ben.count("harbour", 2))
	asha.say("Mine")
	asha.sees("Mine")
	const bar = `document.querySelector("#actions")`
	for _, mode := range []string{"delete", "quick"} {
		for _, goes := range []struct{ to, then, what string }{
			{"#pill", `!` + bar + `.checkVisibility()`, "no bar"},
			{".message[data-author]", bar + `.checkVisibility() && ` + bar + `.dataset.key === document.querySelector(".message[data-author]").dataset.key`, "the bar at the other message"},
			{`#actions button:not([hidden])`, bar + `.checkVisibility() && ` + bar + `.dataset.key === document.querySelector(".message[data-own]").dataset.key`, "the bar where it was"},
		} {
			asha.Hover("#pill")
			asha.Hover(".message[data-own] .bubble")
			asha.Click(`#actions [data-open="` + mode + `"]`)
			asha.WaitFor(`document.activeElement.matches("#actions button") && !document.querySelector("#actions [data-do=copy]").checkVisibility()`, "the question")
			asha.Hover(goes.to)
			asha.Eval(rests, nil)
			asha.WaitFor(`document.activeElement.matches("#actions button")`, "the question to stay")
			asha.Press("Escape")
			asha.WaitFor(goes.then+` && document.activeElement.id === "composer"`, goes.what+", and the focus where one writes")
			asha.Hover("#pill")
			asha.WaitFor(`!`+bar+`.checkVisibility()`, "the bar to go with the mouse")
		}
	}
	asha.hasNoErrors()
}

// Of many reactions the first ones are shown, and a button shows the rest: to a finger, by keys, and before the program.
func TestPageFoldsReactions(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	asha := openPage(t, b, relay, "Asha", browser.Desktop)
	asha.say("So many")
	asha.sees("So many")
	gives := func(value string) {
		t.Helper()
		asha.opensBar("So many")
		asha.Eval(fmt.Sprintf(`document.querySelector("#actions .emoji").dataset.value = %q; document.querySelector("#actions .emoji").click()`, value), nil)
		asha.WaitFor(fmt.Sprintf(`[...document.querySelectorAll(".reaction")].some(b => b.dataset.value === %q)`, value), value)
	}
	const shown = `[...document.querySelectorAll(".reaction")].filter(b => b.checkVisibility()).length`
	const more = `document.querySelector(".more")`
	for i := range 7 {
		gives(fmt.Sprint("r", i))
	}
	asha.WaitFor(shown+` === 7 && !`+more, "seven, since a button for one would take its room")
	gives("r7")
	gives("r8")
	asha.WaitFor(shown+` === 6 && `+more+`.ariaLabel === "3 more reactions" && `+more+`.ariaExpanded === "false"`, "the first six, and how many more there are")
	asha.Screenshot("page reactions folded desktop light")
	ben := openPage(t, b, relay, "Ben", browser.Phone)
	ben.WaitFor(shown+` === 6`, "the first six")
	ben.Screenshot("page reactions folded phone light")
	var high float64
	if ben.Eval(`document.querySelector(".reactions").offsetHeight / document.querySelector(".reaction").offsetHeight`, &high); high > 2.6 {
		t.Errorf("they are as high as %v reactions", high)
	}
	ben.Click(".more")
	ben.WaitFor(shown+` === 9 && `+more+`.ariaExpanded === "true" && `+atEnd, "all of them, and the end in view")
	ben.Screenshot("page reactions unfolded phone light")
	cleo := person{b.Tab(t, browser.Phone.InDark()), t, "Cleo", true}
	cleo.Prepare(withoutProgram)
	cleo.OpenUntil(relay.URL()+"/r/harbour", message("So many")+` && !document.body.dataset.ready`, "the message, before the program")
	cleo.Click(".more")
	cleo.WaitFor(shown+` === 9`, "all of them, before the program")

	// By keys: the button is the stop after the six, keeps the focus and stays open as more are given.
	asha.Eval(`{ const m = `+message("So many")+`; m.tabIndex = -1; m.focus(); }`, nil)
	for range 7 {
		asha.Press("Tab")
	}
	asha.WaitFor(`document.activeElement === `+more, "the button after six")
	asha.Press("Enter")
	asha.WaitFor(shown+` === 9 && document.activeElement === `+more, "all of them, and the focus to stay")
	gives("r9")
	asha.WaitFor(shown+` === 10 && `+more+`.ariaLabel === "4 more reactions"`, "one more of them")
	asha.Eval(more+`.focus()`, nil)
	asha.Press("Enter")
	asha.WaitFor(shown+` === 6`, "the first six again")
	asha.hasNoErrors()
	ben.hasNoErrors()
}

// Who types is cut if there is no room, and not that they type.
func TestPageCutsNamesNotSentences(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	asha := openPage(t, browser.Start(t), relay, "Asha", browser.Phone)
	for i, verb := range []string{" is typing", " are typing", " are typing", " and 2 others are typing"} {
		w := startWriter(t, relay, strings.Repeat("Wilhelmina ", 3)+fmt.Sprint(i), "harbour")
		w.Signal("harbour", map[string]bool{"typing": true})
		asha.WaitFor(fmt.Sprintf(`(() => {
			const typing = document.querySelector("#typing"), verb = document.createRange(), whole = typing.getBoundingClientRect();
			if (!typing.textContent.endsWith(%q)) return false;
			verb.selectNode(typing.lastChild);
			const seen = verb.getBoundingClientRect();
			return seen.width > 20 && seen.right <= whole.right + 1 && seen.left >= whole.left && [...typing.querySelectorAll("bdi")].every(b => b.clientWidth > 16 && (%v || b.clientWidth < b.scrollWidth));
		})()`, verb, i == 0), "names that are cut, and whole:"+verb)
	}
	asha.Screenshot("page typing phone light")
	asha.hasNoErrors()
}

// What is said for a moment stands over no message, and not over what is written.
func TestPageToastCoversNothing(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	last := startWriter(t, relay, "Ben", "harbour").count("harbour", 30)
	for name, viewport := range map[string]browser.Viewport{"desktop light": browser.Desktop, "phone dark": browser.Phone.InDark()} {
		asha := withClipboard(t, b, relay.URL()+"/r/harbour", viewport)
		asha.enter(relay)
		asha.sees(last)
		asha.WaitFor(atEnd, "the end")
		asha.Click("#share")
		asha.WaitFor(`document.querySelector("#toast").checkVisibility()`, "the link to be copied")
		var covered []string
		asha.Eval(`(() => {
			const a = document.querySelector("#toast").getBoundingClientRect();
			return [...document.querySelectorAll(".message .stack, #composer-form")].filter(e => { const b = e.getBoundingClientRect(); return a.bottom > b.top && b.bottom > a.top; }).map(e => e.textContent + e.id);
		})()`, &covered)
		if len(covered) > 0 {
			t.Errorf("%s: the toast covers %q", name, covered)
		}
		asha.Screenshot("page toast " + name)
		asha.hasNoErrors()
	}
}

// Without a connection a phone still has all in its place, and draws no bridge that is not there.
func TestPageAwayOnAPhone(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	tab := browser.Start(t).Tab(t, browser.Phone)
	tab.Prepare(unplug)
	tab.Prepare(`try { localStorage.setItem("setu.name", "Asha"); } catch {}`)
	asha := person{tab, t, "Asha", true}
	asha.OpenUntil(relay.URL()+"/r/"+strings.Repeat("harbour-", 6), isConnected, "her connection")
	asha.Eval(`unplug()`, nil)
	asha.WaitFor(`document.querySelector("#try-now").checkVisibility()`, "a way to try now")
	asha.WaitFor(`(() => { const text = document.createRange(); text.selectNodeContents(document.querySelector("#try-now")); return text.getClientRects().length === 1; })()`, "it to stand in one line")
	asha.Screenshot("page away long name phone light")
	asha.Click("#pill")
	asha.WaitFor(`(decks => decks.length > 1 && decks.every(d => getComputedStyle(d).strokeDasharray !== "none"))([...document.querySelectorAll("#bridge .deck")])`, "a bridge in dashes")
	asha.WaitFor(`document.querySelector("#bridge svg").getAttribute("aria-label") === "You are not connected to any relay now."`, "that in words")
	asha.Screenshot("page bridge away phone light")
	asha.Press("Escape")
	asha.Eval(`plugIn()`, nil)
	asha.WaitFor(isConnected, "her connection")
	asha.WaitFor(`[...document.querySelectorAll("#bridge .deck")].every(d => getComputedStyle(d).strokeDasharray === "none")`, "the bridge again")
	asha.hasNoErrors()
}

// What is long or near an edge takes nothing from what stands beside it.
func TestPageAtItsEdges(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	ben := startWriter(t, relay, "Ben", "harbour")
	asha := openPage(t, b, relay, strings.Repeat("Wilhelmina ", 5)+"W", browser.Phone)

	// Low, as above a keyboard: what is said of an empty room is whole.
	low := openPage(t, b, relay, "Low", browser.Viewport{Width: 360, Height: 300, Mobile: true})
	low.WaitFor(`(e => e.checkVisibility() && e.clientHeight >= 24 && e.scrollHeight <= e.clientHeight + 1)(document.querySelector("#empty-title"))`, "the empty room's title to keep its height")
	low.WaitFor(`[...document.querySelector("#empty").children].filter(e => e.checkVisibility()).every(e => (r => r.top >= document.querySelector(".top").getBoundingClientRect().bottom && r.bottom <= document.querySelector("#composer-form").getBoundingClientRect().top)(e.getBoundingClientRect()))`, "it to reach over nothing")
	low.Screenshot("page empty low phone light")

	asha.Click("#people-button")
	asha.WaitFor(`(([name, place]) => place.clientWidth > 20 && place.scrollWidth <= place.clientWidth && name.scrollWidth > name.clientWidth)([".person-name", ".person-place"].map(s => document.querySelector("#people-list " + s)))`, "a name that is cut, and where she is")
	asha.WaitFor(`document.querySelector("#people").getBoundingClientRect().right <= innerWidth`, "who is here")
	asha.Screenshot("page long name phone light")
	asha.Press("Escape")
	asha.WaitFor(`document.querySelector("#people").getBoundingClientRect().left >= innerWidth`, "the drawer to close")

	asha.say("Mine")
	asha.sees("Mine")
	asha.opensBar("Mine")
	asha.WaitFor(`(r => r.left >= 8 && r.right <= innerWidth - 8)(document.querySelector("#actions").getBoundingClientRect())`, "the bar to keep off the edge")
	asha.Screenshot("page actions own phone light")
	asha.Press("Escape")
	ben.Say("harbour", map[string]string{"text": "Look at `this`:\n```\ncode\n```"})
	asha.WaitFor(`document.querySelector(".code-block")`, "the code")
	const edge = `parseFloat(getComputedStyle(document.querySelector("%s")).borderTopWidth)`
	asha.WaitFor(fmt.Sprintf(edge, ".code-block")+` === 0`, "code that its ground sets off")
	asha.ForceColors()
	asha.WaitFor(fmt.Sprintf(edge, ".code-block")+` >= 1 && `+fmt.Sprintf(edge, ".text > code")+` >= 1 && `+fmt.Sprintf(edge, ".code-block code")+` === 0`, "code to have an edge where colors are forced")
	asha.Screenshot("page code forced colors phone")
	asha.hasNoErrors()
}

// Before anybody has signed in, nobody stands in the middle of their place; and the pill is as wide whatever it says.
func TestPageOfNobodyYet(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	closed := startAuthRelay(t, nil)
	stranger := arrive(t, b, closed, "", "/r/harbour", browser.Desktop)
	stranger.WaitFor(`document.querySelector("#token-form").checkVisibility()`, "the way to sign in")
	stranger.WaitFor(`(([name, mono]) => Math.abs(name.top + name.bottom - mono.top - mono.bottom) < 2)(["#me-name", "#me .mono"].map(s => document.querySelector(s).getBoundingClientRect()))`, "the name of nobody yet beside its mark")
	stranger.Screenshot("page sign in desktop light")
	var widths []float64
	stranger.Eval(`["Virginia · 9 ms", "Virginia · 282 ms", "Connecting…"].map(text => { document.querySelector("#pill-label").textContent = text; return document.querySelector("#pill").offsetWidth; })`, &widths)
	if widths[0] != widths[1] || widths[1] != widths[2] {
		t.Errorf("the pill is %v wide", widths)
	}
}

// A tall picture stands in the middle, in its own shape, with nothing beside it.
func TestPageShowsTallPictures(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	tall := encoded(t, func(out *bytes.Buffer) error { return png.Encode(out, testPicture(300, 900)) })
	startWriter(t, relay, "Ben", "harbour").Say("harbour", map[string]any{"image": map[string]any{"data": client.Bytes(tall), "alt": "A mast"}})
	for name, viewport := range map[string]browser.Viewport{"desktop light": browser.Desktop, "phone dark": browser.Phone.InDark()} {
		asha := openPage(t, b, relay, "Asha", viewport)
		asha.WaitFor(`document.querySelector(".picture img")?.naturalWidth === 300`, "the picture")
		asha.Click(".picture")
		asha.WaitFor(`document.querySelector("#picture-dialog").open && document.querySelector("#picture").naturalWidth === 300`, "the picture, large")
		var looks struct{ Aside, Shape float64 }
		asha.Eval(`(() => {
			const [picture, dialog] = ["#picture", "#picture-dialog"].map(s => document.querySelector(s).getBoundingClientRect());
			return { aside: Math.abs(picture.left + picture.right - dialog.left - dialog.right) / 2, shape: picture.height / picture.width };
		})()`, &looks)
		if looks.Aside > 1 || looks.Shape < 2.95 || looks.Shape > 3.05 {
			t.Errorf("%s: %+v", name, looks)
		}
		asha.Screenshot("page picture tall " + name)
		asha.hasNoErrors()
	}
}

// Whatever relays are called, their names stand beside one another in the drawing, and within it.
func TestPageDrawsLongNames(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	network := cluster.NewNetwork(t)
	redis := cluster.StartRedis(t, network, cluster.RedisOptions{})
	start := func(name, id string) *cluster.Relay {
		return cluster.StartRelay(t, network, cluster.RelayOptions{Name: name, Redis: redis, Env: map[string]string{"RELAY_ID": id}})
	}
	here := start("here", strings.Repeat("WM", 8))
	start("there", "NORTHERN-WINDOWS-AND-MORE")
	start("elsewhere", "a-relay-of-many-words")
	b := browser.Start(t)
	for name, viewport := range map[string]browser.Viewport{"desktop light": browser.Desktop, "phone dark": browser.Phone.InDark()} {
		p := person{b.Tab(t, viewport), t, "Asha", viewport.Mobile}
		p.Prepare(`try { localStorage.setItem("setu.name", "Asha"); } catch {}`)
		p.OpenUntil(here.URL()+"/r/harbour", isConnected, "her connection")
		p.Click("#pill")
		p.WaitFor(`document.querySelectorAll("#bridge text").length === 7`, "the others in the drawing")
		var wrong []string
		p.Eval(`(() => {
			const texts = [...document.querySelectorAll("#bridge text")].map(e => [e.textContent, e.getBoundingClientRect()]), popover = document.querySelector("#connection");
			const within = popover.getBoundingClientRect(), wrong = popover.scrollWidth > popover.clientWidth ? ["it scrolls aside"] : [];
			for (const [text, a] of texts) {
				if (a.left < within.left || a.right > within.right) wrong.push("beyond: " + text);
				for (const [other, b] of texts) if (text < other && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) wrong.push(text + " over " + other);
			}
			return wrong;
		})()`, &wrong)
		if len(wrong) > 0 {
			t.Errorf("%s: %q", name, wrong)
		}
		p.Screenshot("page bridge long names " + name)
		p.hasNoErrors()
	}
}
