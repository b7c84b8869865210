package e2e_test

import (
	"fmt"
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
