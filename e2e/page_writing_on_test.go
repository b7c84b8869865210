package e2e_test

import (
	"fmt"
	"testing"

	"setu/e2e/browser"
)

// editing is JavaScript: what is being edited, and with which words.
const editing = `(e => e.checkVisibility() ? [e.innerText.replaceAll("\n", " "), document.querySelector("#composer").value].join("|") : "")(document.querySelector("#editing"))`

// isEditing waits until a message is edited, with these words.
func (p person) isEditing(message, words string) {
	p.t.Helper()
	p.WaitFor(fmt.Sprintf(`%s === %q && [...document.querySelectorAll(".message.aimed .text")].every(e => e.textContent === %q)`, editing, "Editing "+message+"|"+words, message),
		fmt.Sprintf("%s to be editing %q with %q", p.name, message, words))
}

// isNotEditing waits until nothing is edited, and a text stands in the composer.
func (p person) isNotEditing(text string) {
	p.t.Helper()
	p.WaitFor(editing+` === ""`, "no edit")
	p.writes(text)
}

// startKept opens the page for Asha through a door, where a message of hers stands and one of Ben's, and waits until
// the browser keeps it for when the relay is not there.
func startKept(t *testing.T, viewport browser.Viewport) (person, *door) {
	t.Helper()
	relay := startLoneRelay(t)
	startWriter(t, relay, "Ben", "harbour").Say("harbour", map[string]string{"text": "Which ferry?"})
	d := openDoor(t, relay)
	asha := openEditor(t, viewport, d.url())
	asha.say("Teh early one")
	asha.sees("Teh early one")
	asha.isKept("setu ")
	return asha, d
}

// The words of an edit under way outlive the page, with the draft that stood before, as an answer under way does:
// with the relay there, and without it.
func TestPageKeepsEdits(t *testing.T) {
	t.Parallel()
	asha, d := startKept(t, browser.Desktop)
	asha.Insert("#composer", "a draft")
	asha.edits("Teh early one")
	asha.rewrites("The early one, half")
	asha.comesBack(d.url())
	asha.isEditing("Teh early one", "The early one, half")
	asha.Press("Escape")
	asha.isNotEditing("a draft")
	asha.comesBack(d.url())
	asha.isNotEditing("a draft")

	// Without the relay.
	asha.edits("Teh early one")
	asha.rewrites("The early one")
	asha.WaitFor(`JSON.parse(localStorage.getItem("setu.writing.harbour"))?.edit.text === "The early one"`, "it to be stored")
	d.shut()
	asha.openThrough(d)
	asha.isEditing("Teh early one", "The early one")
	asha.WaitFor(`document.querySelector("#banner").textContent.includes("What you write is kept")`, "the sentence")
	asha.Screenshot("page edit kept desktop light")
	asha.Press("Enter")
	asha.isRefused("Not edited: there is no connection. What you wrote is kept: save it when there is one.")
	d.open()
	asha.WaitFor(isConnected, "the connection, again")
	asha.isEditing("Teh early one", "The early one")
	asha.Press("Enter")
	asha.sees("The early one")
	asha.isNotEditing("a draft")
	asha.comesBack(d.url())
	asha.isNotEditing("a draft")

	// An answer under way.
	asha.opensBar("Which ferry?")
	asha.Press("Enter")
	const answers = `(e => e.checkVisibility() && e.innerText.replaceAll("\n", " "))(document.querySelector("#reply"))`
	asha.WaitFor(answers+` === "Reply to Ben Which ferry?"`, "what is answered")
	asha.comesBack(d.url())
	asha.WaitFor(answers+` === "Reply to Ben Which ferry?" && document.querySelector(".message.aimed .text").textContent === "Which ferry?"`, "what is answered, again")
	asha.writes("a draft")
	asha.Eval(`document.querySelector("#composer").focus()`, nil)
	asha.Press("Enter")
	asha.WaitFor(message("a draft")+`?.querySelector(".quote-text").textContent === "Which ferry?"`, "the answer")
	asha.comesBack(d.url())
	asha.WaitFor(`!document.querySelector("#reply").checkVisibility()`, "no answer under way")
	asha.hasNoErrors()
}

// The words of an edit whose message is gone are a draft, beside the one that stood before.
func TestPageKeepsWordsOfGoneMessages(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	asha := openEditor(t, browser.Phone, relay.URL())
	asha.say("Going")
	asha.sees("Going")
	asha.Insert("#composer", "a draft")
	asha.edits("Going")
	asha.rewrites("Going, gone")
	asha.deletes("Going")
	asha.WaitFor(`!`+message("Going"), "it to be gone")
	asha.comesBack(relay.URL())
	asha.isNotEditing("a draft\n\nGoing, gone")
	asha.isRefused("The message that you edited is no longer there. What you wrote is a draft now.")
	asha.Screenshot("page edit of nothing phone light")
	asha.comesBack(relay.URL())
	asha.isNotEditing("a draft\n\nGoing, gone")
	asha.hasNoErrors()
}

// below is JavaScript: what is shown below a message of an edit that is set aside, with its buttons.
func below(text string) string {
	return fmt.Sprintf(`[...(%s)?.querySelectorAll(".unsaved > *") ?? []].filter(e => e.checkVisibility()).map(e => e.textContent).join("|")`, message(text))
}

// Who begins an answer while an edit is saved hears of the edit: what it says if it was refused is kept where the
// message stands, until they go on with it or give it up.
func TestPageKeepsEditsAside(t *testing.T) {
	t.Parallel()
	for name, viewport := range map[string]browser.Viewport{"desktop light": browser.Desktop, "phone dark": browser.Phone.InDark()} {
		asha, d := startKept(t, viewport)
		answer := func(text string) {
			t.Helper()
			asha.opensBar("Which ferry?")
			asha.Click(`#actions [data-do="reply"]`)
			asha.WaitFor(`document.querySelector("#reply").checkVisibility()`, "the answer to begin")
			asha.isNotEditing(text)
		}
		save := func(text string) {
			t.Helper()
			asha.Eval(`withhold()`, nil)
			asha.rewrites(text)
			asha.send()
			asha.WaitFor(`document.querySelector("#editing-text").textContent === "Saving…" && isWithheld()`, "it to be saved")
		}
		asha.edits("Teh early one")
		save("The early one")
		answer("")
		asha.WaitFor(below("Teh early one")+` === "Saving your edit…"`, "that it is being saved")
		asha.Eval(elsewhere, nil)
		asha.WaitFor(below("Teh early one")+`.startsWith("Edit not saved: ") && `+below("Teh early one")+`.endsWith("|Edit again|Discard")`, "that it was not saved")
		asha.WaitFor(`/^Not edited: .*\. What you wrote is kept at the message\.$/.test(document.querySelector("#status").textContent)`, "that it is said")
		asha.Screenshot("page edit refused " + name)
		asha.say("The fast one")
		asha.sees("The fast one")

		// It outlives the page, and is gone on with.
		asha.comesBack(d.url())
		asha.WaitFor(below("Teh early one")+`.endsWith("|Edit again|Discard")`, "it to be there still")
		asha.Click(`.unsaved [data-do="edit"]`)
		asha.isEditing("Teh early one", "The early one")
		save("The early one")
		answer("")
		asha.Eval(`handOver()`, nil)
		asha.isTold("Message edited")
		asha.sees("The early one")
		asha.WaitFor(`!document.querySelector(".unsaved")`, "nothing to be left of it")

		// What the relay was not asked for yet is kept, too, and given up.
		asha.edits("The early one")
		asha.rewrites("The late one")
		answer("")
		asha.isRefused("Your edit is not saved. It is kept at its message.")
		asha.WaitFor(below("The early one")+` === "Edit not saved|Edit again|Discard"`, "that it is not saved")
		asha.Screenshot("page edit aside " + name)
		asha.Click(`.unsaved [data-do="no-words"]`)
		asha.isTold("Edit discarded")
		asha.comesBack(d.url())
		asha.sees("The early one")
		asha.WaitFor(`!document.querySelector(".unsaved") && document.querySelector("#reply").checkVisibility()`, "the answer alone")
		asha.hasNoErrors()
	}
}
