package e2e_test

import (
	"testing"

	"setu/e2e/browser"
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
