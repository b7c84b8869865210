package e2e_test

import (
	"fmt"
	"testing"

	"setu/e2e/browser"
)

// withhold is a script that keeps what is said of messages from the relay, from withhold() until handOver().
const withhold = `(() => {
	const send = WebSocket.prototype.send;
	let held = null;
	WebSocket.prototype.send = function (data) { held && /^42\d+\["annotate"/.test(data) ? held.push([this, data]) : send.call(this, data); };
	globalThis.withhold = () => { held = []; };
	globalThis.handOver = (change = (data) => data) => {
		const all = held;
		held = null;
		for (const [socket, data] of all) send.call(socket, change(data));
	};
	globalThis.isWithheld = () => held?.length > 0;
})()`

// elsewhere is JavaScript: it says what was withheld of another room, which the relay refuses.
const elsewhere = `handOver((data) => data.replace('"room":"harbour"', '"room":"nowhere"'))`

// openEditor opens the page for Asha, with a connection that can be lost and a relay that can be kept waiting.
func openEditor(t *testing.T, viewport browser.Viewport, url string) person {
	t.Helper()
	asha := person{browser.Start(t).Tab(t, viewport), t, "Asha", viewport.Mobile}
	asha.Prepare(`try { localStorage.setItem("setu.name", "Asha"); } catch {}`)
	asha.Prepare(withhold)
	asha.Prepare(unplug)
	asha.comesBack(url)
	return asha
}

// comesBack loads the page, and waits for the connection and the room.
func (p person) comesBack(url string) {
	p.t.Helper()
	p.OpenUntil(url+"/r/harbour", isConnected, "the connection")
	p.WaitFor(`document.querySelector("#people-list [data-user]")`, "the join to be answered")
}

// edits opens the bar of a message and begins to edit it.
func (p person) edits(text string) {
	p.t.Helper()
	p.opensBar(text)
	p.Click(`#actions [data-do="edit"]`)
	p.WaitFor(`document.querySelector("#editing").checkVisibility()`, "the edit of "+text)
	p.writes(text)
}

// rewrites replaces what stands in the composer.
func (p person) rewrites(text string) {
	p.t.Helper()
	p.Eval(`document.querySelector("#composer").select()`, nil)
	p.Insert("#composer", text)
	p.writes(text)
}

// isTold waits until a screen reader has been told a sentence.
func (p person) isTold(sentence string) {
	p.t.Helper()
	p.WaitFor(fmt.Sprintf(`document.querySelector("#status").textContent === %q`, sentence), p.name+" to be told "+sentence)
}

// The question whether to delete is no longer said when it has been answered, or when nobody is asked any more.
func TestPageAsksOnce(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	asha := openEditor(t, browser.Desktop, relay.URL())
	asha.say("I hate boats")
	asha.sees("I hate boats")
	for _, end := range []struct {
		how string
		do  func()
	}{
		{"Escape", func() { asha.Press("Escape") }},
		{"another place", func() { asha.Eval(`document.querySelector("#composer").focus()`, nil) }},
		{"four seconds", func() {}},
		{"an answer", func() { asha.Eval(`withhold()`, nil); asha.Press("Enter") }},
	} {
		asha.opensBar("I hate boats")
		asha.Eval(`document.querySelector('#actions [data-open="delete"]').focus()`, nil)
		asha.Press("Enter")
		asha.isTold("Press again to delete this message for everybody")
		end.do()
		asha.WaitFor(`document.querySelector("#status").textContent === ""`, end.how+" to end the question")
		if end.how != "an answer" {
			asha.sees("I hate boats")
			asha.Press("Escape")
			asha.Press("Escape")
		}
	}
	asha.Eval(`handOver()`, nil)
	asha.isTold("Message deleted for everybody")
	asha.hasNoErrors()
}

// ArrowUp brings back the text of the message that was sent last, as it reads now, for a new message; into one that
// is edited it brings nothing.
func TestPageRecallsWhatWasSent(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	asha := openEditor(t, browser.Desktop, relay.URL())
	for _, text := range []string{"The first", "Teh last"} {
		asha.say(text)
		asha.sees(text)
	}
	asha.edits("The first")
	asha.Eval(`document.querySelector("#composer").select()`, nil)
	asha.Press("Backspace")
	asha.Press("ArrowUp")
	asha.Eval(rests, nil)
	asha.writes("")
	asha.rewrites("The very first")
	asha.Press("Enter")
	asha.sees("The very first")
	asha.writes("")
	asha.Press("ArrowUp")
	asha.writes("Teh last")
	asha.isTold("Your last text, for a new message")
	asha.rewrites("")
	asha.edits("Teh last")
	asha.rewrites("The last")
	asha.Press("Enter")
	asha.sees("The last")
	asha.writes("")
	asha.Press("ArrowUp")
	asha.writes("The last")
	asha.WaitFor(`!document.querySelector("#editing").checkVisibility()`, "a new message")
	asha.Press("Enter")
	asha.WaitFor(`[...document.querySelectorAll(".message .text")].map(e => e.textContent).join() === "The very first,The last,The last"`, "a third message")
	asha.hasNoErrors()
}

// isRefused waits until a sentence is seen, and told to who sees nothing.
func (p person) isRefused(sentence string) {
	p.t.Helper()
	p.isTold(sentence)
	p.WaitFor(fmt.Sprintf(`document.querySelector("#toast").checkVisibility() && document.querySelector("#toast").textContent === %q`, sentence), p.name+" to see "+sentence)
}

// loses takes the connection away.
func (p person) loses() {
	p.t.Helper()
	p.Eval(`unplug()`, nil)
	p.WaitFor(`document.querySelector("#pill").dataset.status === "waiting"`, p.name+" to be away")
}

// deletes answers the question whether to delete a message.
func (p person) deletes(text string) {
	p.t.Helper()
	p.opensBar(text)
	p.Click(`#actions [data-open="delete"]`)
	p.Click(`#actions .sure`)
}

// Whatever takes a connection says at once that there is none, and what becomes of it. What was refused does not
// happen later.
func TestPageSaysWhatIsNotDone(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	for name, viewport := range map[string]browser.Viewport{"desktop light": browser.Desktop, "phone dark": browser.Phone.InDark()} {
		asha := openEditor(t, viewport, relay.URL())
		said := "Mine, " + name
		asha.say(said)
		asha.sees(said)
		asha.reacts(said)
		asha.isGiven(said, "👍, 1, you too")
		asha.loses()
		asha.Click(`.message[data-own]:last-child .reaction`)
		asha.isRefused("Your reaction was not stored: there is no connection. Try again when there is one.")
		asha.deletes(said)
		asha.isRefused("Not deleted: there is no connection. Try again when there is one.")
		asha.Screenshot("page not deleted " + name)
		asha.edits(said)
		asha.rewrites("Edited in the dark")
		asha.send()
		asha.isRefused("Not edited: there is no connection. What you wrote is kept: save it when there is one.")
		asha.writes("Edited in the dark")
		asha.WaitFor(`document.querySelector("#editing-text").textContent === "Editing"`, "the edit to go on")
		asha.Click(`[data-do="no-edit"]`)
		if !viewport.Mobile {
			asha.Click(`#me`)
			asha.Type("#name", " of Galway")
			asha.Press("Enter")
			asha.isRefused("There is no connection. Others see your new name when there is one.")
			asha.Type("#room-input", "quay")
			asha.Press("Enter")
			asha.isRefused("There is no connection. You enter quay when there is one.")
			asha.WaitFor(`document.querySelector("#empty").innerText.includes("There is no connection. You enter when there is one")`, "why the room is empty")
			asha.Screenshot("page not entered " + name)
			asha.goesTo("harbour")
		}
		asha.Eval(`plugIn()`, nil)
		asha.WaitFor(isConnected, "the connection, again")
		asha.say("Back, " + name)
		asha.sees("Back, " + name)
		asha.sees(said)
		asha.isGiven(said, "👍, 1, you too")
		asha.hasNoErrors()
	}
}

// reacts gives the first of the offered reactions.
func (p person) reacts(text string) {
	p.t.Helper()
	p.opensBar(text)
	p.Click(`#actions [data-open="quick"]`)
	p.Click(`#actions [data-value="👍"]`)
}

// A relay that does not answer, perhaps since the connection is lost and nobody knows yet, is waited for, and that
// is said.
func TestPageSaysWhatWaits(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	asha := openEditor(t, browser.Desktop, relay.URL())
	asha.say("Mine")
	asha.sees("Mine")
	for _, step := range []struct {
		do   func()
		late string
		done string
	}{
		{func() { asha.reacts("Mine") }, "Your reaction waits: no answer from the relay yet", "Reacted with 👍"},
		{func() { asha.edits("Mine"); asha.rewrites("Ours"); asha.send() }, "Not edited yet: no answer from the relay yet", "Message edited"},
		{func() { asha.deletes("Ours") }, "Not deleted yet: no answer from the relay yet", "Message deleted for everybody"},
	} {
		asha.Eval(`withhold()`, nil)
		step.do()
		asha.isRefused(step.late)
		asha.Eval(`handOver()`, nil)
		asha.isTold(step.done)
		asha.WaitFor(`!document.querySelector("#editing").checkVisibility()`, "the list to have its room again")
	}
	asha.hasNoErrors()
}
