package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"setu/e2e/browser"
)

// chips is JavaScript: what is given to the message that says a text, as it is called.
func chips(text string) string {
	return fmt.Sprintf(`[...(%s)?.querySelectorAll(".reaction") ?? []].map(b => b.ariaLabel).join("; ")`, message(text))
}

// isGiven waits until a message has been given this.
func (p person) isGiven(text, want string) {
	p.t.Helper()
	p.WaitFor(fmt.Sprintf(`%s === %q`, chips(text), want), fmt.Sprintf("%s to see %q given to %q", p.name, want, text))
}

// settles is JavaScript: it waits until what is to be held stays where it is.
const settles = `(async () => {
	const top = () => document.querySelector("#held").getBoundingClientRect().top;
	for (let was = NaN; was !== top();) {
		was = top();
		await new Promise(done => setTimeout(done, 200));
	}
})()`

// opensBar opens the bar of the message that says a text, by the keys, or by touch.
func (p person) opensBar(text string) {
	p.t.Helper()
	if p.phone {
		p.Eval(fmt.Sprintf(`{ document.querySelector("#held")?.removeAttribute("id"); (%s).querySelector(".bubble").id = "held"; }`, message(text)), nil)
		p.Eval(settles, nil) // or the finger comes down where the message was
		p.Hold("#held", `document.querySelector("#actions").checkVisibility()`, "the bar")
		return
	}
	p.Eval(fmt.Sprintf(`{ const m = %s; m.tabIndex = -1; m.focus(); }`, message(text)), nil)
	p.Press("Enter")
	p.WaitFor(`document.activeElement.dataset.do === "reply"`, "the bar")
}

// Two people on two relays react to one another, edit and delete what they have said; who comes later sees how it
// stands, before the program is there, too.
func TestPageReactions(t *testing.T) {
	t.Parallel()
	virginia, tokyo := startBridge(t)
	b := browser.Start(t)
	asha := openPage(t, b, virginia, "Asha", browser.Desktop)
	ben := openPage(t, b, tokyo, "Ben", browser.Phone)
	asha.say("Shall we take the ferry?")
	ben.sees("Shall we take the ferry?")
	ben.say("Which one?")
	asha.sees("Which one?")

	ben.reactsByTouch("Shall we take the ferry?")
	ben.isGiven("Shall we take the ferry?", "👍, 1, you too")
	asha.isGiven("Shall we take the ferry?", "👍, 1")
	asha.reactsByKeyboard("Which one?")
	ben.isGiven("Which one?", "😂, 1")

	// A chip gives and takes back, and keeps the focus.
	asha.Click(`.message[data-own] .reaction`)
	ben.isGiven("Shall we take the ferry?", "👍, 2, you too")
	asha.WaitFor(`document.activeElement.ariaLabel === "👍, 2, you too" && document.activeElement.ariaPressed === "true"`, "the focus to stay on it")
	asha.Press("Enter")
	ben.isGiven("Shall we take the ferry?", "👍, 1, you too")
	ben.Click(`.message[data-author] .reaction`)
	asha.isGiven("Shall we take the ferry?", "")
	ben.isGiven("Shall we take the ferry?", "")
	ben.Click(`.message[data-own] .reaction`)
	asha.isGiven("Which one?", "😂, 2, you too")

	editsAndDeletes(t, asha, ben)

	// As it stands: after a reload, and for who comes new, before the program is there.
	asha.OpenUntil(virginia.URL()+"/r/harbour", `document.body.dataset.ready !== undefined && document.querySelector("#pill").dataset.status === "connected"`, "the program to run")
	asha.isGiven("Which one?", "😂, 2, you too")
	asha.WaitFor(message("Shall we take the early ferry?")+`.querySelector(".edited") && `+message("Message deleted")+` && document.querySelectorAll(".message[data-own]").length === 3`, "what was edited and what was deleted")
	asha.Screenshot("page reactions desktop light")
	cleo := person{b.Tab(t, browser.Phone.InDark()), t, "Cleo", true}
	cleo.Prepare(withoutProgram)
	cleo.OpenUntil(tokyo.URL()+"/r/harbour", message("Message deleted")+` && !document.body.dataset.ready`, "the messages, before the program")
	cleo.isGiven("Which one?", "😂, 2")
	cleo.WaitFor(message("Shall we take the early ferry?")+`.querySelector(".edited") && `+message("The fast one")+`.querySelector(".quote-text").textContent === "Which one?"`, "the page as it stands")
	var markup string
	if cleo.Eval(`document.querySelector("#list").textContent`, &markup); strings.Contains(markup, "the ferry?") || strings.Contains(markup, "I hate boats") {
		t.Errorf("the page says what was edited or deleted: %q", markup)
	}
	cleo.Screenshot("page reactions before the program phone dark")
	asha.hasNoErrors()
	ben.hasNoErrors()
}

// reactsByTouch gives another's message the first of the six reactions.
func (p person) reactsByTouch(text string) {
	p.t.Helper()
	p.opensBar(text)
	var shown []string
	p.Eval(`[...document.querySelectorAll("#actions button")].filter(b => b.checkVisibility()).map(b => b.ariaLabel)`, &shown)
	if fmt.Sprint(shown) != "[Reply Copy Copy link to message React]" {
		p.t.Errorf("of another's message one may %q", shown)
	}
	p.Click(`#actions [data-open="quick"]`)
	p.WaitFor(`document.querySelectorAll("#actions .emoji").length === 6 && document.querySelector("#actions .emoji").checkVisibility()`, "the reactions")
	p.Screenshot("page reactions bar phone light")
	var small []string
	p.Eval(`[...document.querySelectorAll("#actions button")].filter(b => b.checkVisibility() && Math.min(b.offsetWidth, b.offsetHeight) < 44).map(b => b.outerHTML)`, &small)
	for _, button := range small {
		p.t.Errorf("too small for a finger: %s", button)
	}
	p.Click(`#actions [data-value="👍"]`)
}

// reactsByKeyboard gives a message the third reaction: the arrows choose, Escape leads back to the bar alone.
func (p person) reactsByKeyboard(text string) {
	p.t.Helper()
	p.opensBar(text)
	for range 3 {
		p.Press("ArrowRight")
	}
	p.Press("Enter")
	p.WaitFor(`document.activeElement.dataset.value === "👍"`, "the first reaction")
	p.Screenshot("page reactions bar desktop light")
	p.Press("Escape")
	p.WaitFor(`document.activeElement.dataset.open === "quick"`, "the bar again")
	p.Press("Enter")
	p.Press("ArrowRight")
	p.Press("ArrowRight")
	p.Press("Enter")
	p.isGiven(text, "😂, 1, you too")
	p.WaitFor(`document.activeElement === `+message(text), "the focus on the message again")
}

func editsAndDeletes(t *testing.T, asha, ben person) {
	t.Helper()
	// What was being written stays, and one's own text comes into the composer.
	asha.Type("#composer", "a draft")
	asha.opensBar("Shall we take the ferry?")
	asha.Press("ArrowRight")
	asha.Press("ArrowRight")
	asha.Press("ArrowRight")
	asha.Press("ArrowRight")
	asha.WaitFor(`document.activeElement.dataset.do === "edit"`, "edit in the bar")
	asha.Press("Enter")
	asha.WaitFor(`document.querySelector("#editing").checkVisibility() && document.querySelector("#composer").value === "Shall we take the ferry?" && document.activeElement.id === "composer"`, "the text to edit")
	asha.Press("Escape")
	asha.WaitFor(`!document.querySelector("#editing").checkVisibility() && document.querySelector("#composer").value === "a draft"`, "Escape to bring the draft back")
	asha.Hover(`.message[data-own] .bubble`)
	asha.Click(`#actions [data-do="edit"]`)
	asha.Screenshot("page editing desktop light")
	asha.Eval(`{ const c = document.querySelector("#composer"); c.setSelectionRange(14, 17); }`, nil)
	asha.Insert("#composer", "the early")
	asha.Press("Enter")
	ben.WaitFor(message("Shall we take the early ferry?")+`?.querySelector(".edited")?.title.startsWith("Edited ")`, "the edit, and when it was")
	asha.WaitFor(message("Shall we take the early ferry?")+`?.ariaLabel.includes(", edited") && !document.querySelector("#editing").checkVisibility() && document.querySelector("#composer").value === "a draft"`, "the edit, and the draft again")
	asha.Eval(`{ const c = document.querySelector("#composer"); c.value = ""; c.dispatchEvent(new Event("input", { bubbles: true })); }`, nil)

	// A delete is asked about; what quotes the message tells no more of it.
	ben.opensBar("Which one?")
	ben.Click(`#actions [data-do="reply"]`)
	ben.say("The fast one")
	asha.say("I hate boats")
	ben.sees("I hate boats")
	ben.opensBar("I hate boats")
	ben.Click(`#actions [data-do="reply"]`)
	ben.say("Oh")
	asha.WaitFor(message("Oh")+`?.querySelector(".quote-text").textContent === "I hate boats"`, "the quote")
	asha.opensBar("I hate boats")
	for range 5 {
		asha.Press("ArrowRight")
	}
	asha.Press("Enter")
	asha.WaitFor(`document.activeElement.textContent === "Delete for everybody?" && document.querySelector("#status").textContent.startsWith("Press again")`, "the question")
	asha.Screenshot("page delete desktop light")
	asha.Press("Escape")
	asha.WaitFor(`document.activeElement.dataset.open === "delete"`, "no answer to delete nothing")
	asha.sees("I hate boats")
	asha.Press("Enter")
	asha.Press("Enter")
	for _, p := range []person{asha, ben} {
		p.WaitFor(message("Message deleted")+` && !`+message("I hate boats")+` && `+message("Oh")+`.querySelector(".quote-text").textContent === "Message deleted"`, p.name+" to see that it is gone, in the quote, too")
	}
	asha.WaitFor(`document.querySelector("#status").textContent === "Message deleted for everybody"`, "that it is said")
	asha.Eval(`{ const m = `+message("Message deleted")+`; m.tabIndex = -1; m.focus(); }`, nil)
	asha.Press("Enter")
	asha.WaitFor(`!document.querySelector("#actions").checkVisibility()`, "no bar where nothing can be done")

	// An edit that can't be keeps what was written.
	asha.say("Going")
	asha.sees("Going")
	asha.opensBar("Going")
	asha.Click(`#actions [data-do="edit"]`)
	asha.opensBar("Going")
	asha.Click(`#actions [data-open="delete"]`)
	asha.Click(`#actions .sure`)
	asha.WaitFor(`!`+message("Going"), "it to be gone")
	asha.Type("#composer", ", gone")
	asha.Press("Enter")
	asha.WaitFor(`document.querySelector("#toast").textContent === "Not edited: the message is no longer there" && document.querySelector("#composer").value === "Going, gone"`, "why it is not edited, and the text")
	asha.Press("Escape")
}

// What is said of messages moves nothing, is nothing unread, and is text, whatever somebody gives.
func TestPageReactionsAreQuiet(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	ben := startWriter(t, relay, "Ben", "harbour")
	last := ben.count("harbour", 80)
	asha := openPage(t, b, relay, "Asha", browser.Desktop)
	asha.sees(last)
	cleo := openPage(t, b, relay, "Cleo", browser.Phone)
	cleo.sees("40")
	cleo.Eval(`{ const m = `+message("40")+`; m.scrollIntoView({ block: "center" }); }`, nil)
	cleo.WaitFor(`document.querySelector("#to-end").checkVisibility()`, "her to read farther up")
	const stands = `Math.round(%s.getBoundingClientRect().top)`
	var before, after int
	cleo.Eval(fmt.Sprintf(stands, message("40")), &before)

	// One of the offered buttons gives what somebody else's program would.
	for i, value := range []string{"<img src=x onerror=alert(1)>", "\u202e\u2066gnihton", strings.Repeat("W", 64), "\u200b", "</bdi><script>pwned()</script>"} {
		for _, to := range []string{last, "25"} {
			asha.Eval(fmt.Sprintf(`{ const m = %s; m.tabIndex = -1; m.focus(); }`, message(to)), nil)
			asha.Press("Enter")
			asha.Eval(fmt.Sprintf(`document.querySelector("#actions .emoji").dataset.value = %q; document.querySelector("#actions .emoji").click()`, value), nil)
			asha.WaitFor(fmt.Sprintf(`%s.querySelectorAll(".reaction").length === %d`, message(to), i+1), "what is given to stand there")
		}
	}
	asha.toTheEnd()
	asha.WaitFor(fmt.Sprintf(`[...%s.querySelectorAll(".reaction")].every(b => b.childElementCount === 2 && b.querySelectorAll("bdi, span").length === 2 && b.clientWidth > 30 && b.clientWidth <= 200 && b.scrollHeight <= b.clientHeight + 1)`, message(last)), "nothing but text, clipped")
	asha.WaitFor(message(last)+`.querySelector(".reactions").getAttribute("aria-live") === "off"`, "chips to be quiet")
	asha.Screenshot("page reactions hostile desktop light")
	cleo.WaitFor(message("25")+`.querySelectorAll(".reaction").length === 5`, "Cleo to have them above what she reads")
	cleo.WaitFor(`!document.querySelector("#new-messages").checkVisibility() && !/\(/.test(document.title)`, "nothing to be unread")
	if cleo.Eval(fmt.Sprintf(stands, message("40")), &after); after != before {
		t.Errorf("what she reads has moved from %d to %d", before, after)
	}
	asha.hasNoErrors()
	cleo.hasNoErrors()
}

// toTheEnd brings the end into view, and waits until it stays there.
func (p person) toTheEnd() {
	p.t.Helper()
	p.Eval(`document.querySelector("#composer").focus()`, nil)
	p.Press("Escape")
	p.WaitFor(`(m => m.scrollHeight - m.scrollTop - m.clientHeight < 2)(document.querySelector("#messages"))`, "the end")
}

// With the end in view it stays there as the last message gets more below it. Who may not write sees reactions
// and can give none.
func TestPageReactionsByRights(t *testing.T) {
	t.Parallel()
	relay := startAuthRelay(t, map[string]string{"AUTH": "optional", "GUEST_ROOMS": "*:join,history,members,signal"})
	b := browser.Start(t)
	ben := arrive(t, b, relay, "Ben", "/r/harbour#token="+tokenFor("Ben", time.Hour, everywhere), browser.Desktop)
	ben.WaitFor(`document.querySelector("#me-note").textContent === "Verified" && document.querySelector("#people-list [data-user]")`, "Ben to be signed in")
	for i := range 30 {
		ben.say(fmt.Sprint("Line ", i))
	}
	ben.sees("Line 29")
	asha := meetPage(t, b, relay, "Asha", browser.Phone)
	asha.enter(relay)
	asha.notice("You may read here")
	asha.WaitFor(`document.querySelector('.message[data-author] .tag')?.textContent === "verified" && [...document.querySelectorAll("#people-list .person-note")].map(e => e.textContent).join() === "you,verified"`, "who is no guest")
	asha.toTheEnd()
	ben.opensBar("Line 29")
	for range 3 {
		ben.Press("ArrowRight")
	}
	ben.Press("Enter")
	ben.Press("Enter")
	asha.isGiven("Line 29", "👍, 1")
	asha.WaitFor(`(m => m.scrollHeight - m.scrollTop - m.clientHeight < 2)(document.querySelector("#messages"))`, "the end to stay in view")
	asha.WaitFor(`[...document.querySelectorAll(".reaction")].every(b => b.disabled)`, "reactions that can't be pressed")
	asha.opensBar("Line 29")
	asha.WaitFor(`!document.querySelector('#actions [data-open="quick"]').checkVisibility() && document.querySelector('#actions [data-do="copy"]').checkVisibility()`, "no way to react")
	asha.Screenshot("page reactions read only phone light")
	ben.say("One more")
	asha.WaitFor(message("One more")+`?.querySelector(".tag")?.textContent === "verified"`, "who is no guest, as he writes")
	asha.hasNoErrors()
	ben.hasNoErrors()
}
