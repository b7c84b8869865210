package e2e_test

import (
	"testing"

	"setu/e2e/browser"
	"setu/e2e/client"
)

// notified is a script that grants notifications, and notes them.
const notified = `(() => {
	globalThis.told = [];
	globalThis.asked = 0;
	let permission = "default";
	globalThis.Notification = class {
		static get permission() { return permission; }
		static async requestPermission() { asked++; return permission = "granted"; }
		constructor(title, options) { told.push(title + " | " + options.body + " | " + options.tag + (options.silent ? " | silent" : "")); globalThis.lastNotification = this; }
		close() { this.closed = true; }
	};
})()`

// People are mentioned by keys and by touch, and what mentions one is counted apart.
func TestPageMentions(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	ben := openPage(t, b, relay, "Ben Ōkawa", browser.Phone)
	bea := startWriter(t, relay, "Bea", "harbour")
	asha := openPage(t, b, relay, "Asha", browser.Desktop)
	asha.WaitFor(`document.querySelectorAll("#people-list [data-user]").length === 3`, "three people")

	asha.Type("#composer", "Hi @b")
	asha.WaitFor(`document.querySelector("#mentions").checkVisibility() && [...document.querySelectorAll("#mentions bdi")].map(e => e.textContent).join() === "Bea,Ben Ōkawa"`, "whom that may mean")
	asha.Screenshot("page mention desktop light")
	var wrong []string
	asha.Eval(`(() => { const c = document.querySelector("#composer"), o = document.getElementById(c.getAttribute("aria-activedescendant")); return [
		[c.getAttribute("aria-controls") === "mentions", "controls"], [o?.role === "option" && o.ariaSelected === "true", "the chosen one"], [document.querySelector("#mentions").role === "listbox", "a list box"], [document.activeElement === c, "the focus"],
	].filter(([holds]) => !holds).map(([, what]) => what); })()`, &wrong)
	if len(wrong) > 0 {
		t.Errorf("a screen reader misses %q", wrong)
	}
	asha.Press("Escape")
	asha.WaitFor(`!document.querySelector("#mentions").checkVisibility() && document.querySelector("#composer").value === "Hi @b"`, "Escape to close the list and nothing else")
	asha.Press("e")
	asha.WaitFor(`document.querySelector("#mentions").checkVisibility()`, "the list again")
	asha.Press("ArrowDown")
	asha.Press("Enter")
	asha.WaitFor(`document.querySelector("#composer").value === "Hi @Ben Ōkawa "`, "the name")
	// Elsewhere, Ben is told that he is meant.
	ben.Click("#rooms-button")
	ben.WaitFor(`document.querySelector("#rooms-panel").getBoundingClientRect().left === 0`, "the rooms")
	ben.Type("#room-input", "galley")
	ben.Press("Enter")
	ben.WaitFor(`location.pathname === "/r/galley"`, "the other room")
	asha.say("are you there?")
	bea.Say("harbour", map[string]any{"text": "I am."})
	bea.Say("harbour", map[string]any{"text": "nobody is meant", "mentions": []map[string]string{{"id": "x", "name": "Ben"}}})
	asha.WaitFor(`document.querySelector(".message[data-own] .mention")?.textContent === "@Ben Ōkawa"`, "the name to stand out")
	ben.WaitFor(`(() => { const r = document.querySelector('#rooms [data-room="harbour"]'); return r.dataset.unread === "3" && r.dataset.mentions === "1" && r.ariaLabel === "harbour, 3 unread, 1 for you"; })()`, "what is for him to be counted apart")
	ben.Click("#rooms-button")
	ben.WaitFor(`document.querySelector("#rooms-panel").getBoundingClientRect().left === 0`, "the rooms")
	ben.Screenshot("page mentioned phone light")
	ben.Click(`#rooms [data-room="harbour"]`)
	ben.WaitFor(`document.querySelector(".message.concerns .mention")?.textContent === "@Ben Ōkawa" && document.querySelectorAll(".concerns").length === 1`, "what is for him")
	ben.WaitFor(`!document.querySelector('#rooms [data-room="harbour"]').dataset.mentions`, "it to be read")

	// By touch.
	ben.Insert("#composer", "@as")
	ben.WaitFor(`document.querySelector("#mentions").checkVisibility()`, "whom that may mean")
	ben.Screenshot("page mention phone light")
	ben.Click(`#mentions [role="option"]`)
	ben.WaitFor(`document.querySelector("#composer").value === "@Asha " && document.activeElement.id === "composer"`, "the name, and the keyboard to stay")
	asha.hasNoErrors()
	ben.hasNoErrors()
}

// Who asked to be told of messages is told, of what is not in view.
func TestPageNotifies(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	asha := person{b.Tab(t, browser.Desktop), t, "Asha", false}
	asha.Prepare(notified)
	asha.OpenUntil(relay.URL()+"/r/harbour", `document.body.dataset.ready !== undefined`, "the program to run")
	asha.enter(relay)
	ben := startWriter(t, relay, "Ben", "harbour")
	ben.Join("galley", client.JoinOptions{})
	asha.Type("#room-input", "galley")
	asha.Press("Enter")
	asha.WaitFor(`location.pathname === "/r/galley" && document.querySelector("#empty-title").textContent.includes("Nobody")`, "the galley")
	asha.sees(ben.count("galley", 1))
	ben.Say("harbour", map[string]string{"text": "before she asked"})
	asha.WaitFor(`document.querySelector('#rooms [data-room="harbour"]').dataset.unread === "1"`, "one unread")
	var asked int
	if asha.Eval(`asked + told.length`, &asked); asked != 0 {
		t.Error("somebody was asked, or told, before they wanted to be")
	}
	asha.Click("#notify")
	asha.WaitFor(`asked === 1 && document.querySelector("#notify").ariaPressed === "true"`, "the browser's question")
	asha.Screenshot("page notify desktop light")

	var id string
	asha.Eval(`document.querySelector("#people-list [data-user]").dataset.user`, &id)
	asha.say("my own")
	ben.count("galley", 2)
	asha.sees("2")
	ben.Say("harbour", map[string]string{"text": "one"})
	ben.Say("harbour", map[string]string{"text": "one more of many"})
	ben.Say("harbour", map[string]any{"text": "**@Asha** come", "mentions": []map[string]string{{"id": id, "name": "Asha"}}})
	asha.WaitFor(`told.join("; ") === "Ben · harbour | one | setu.harbour | silent; Ben · harbour | @Asha come | setu.harbour"`, "the first, and what is for her")
	asha.Eval(`lastNotification.onclick()`, nil)
	asha.WaitFor(`location.pathname === "/r/harbour" && document.querySelector(".marked .text")?.textContent === "@Asha come" && lastNotification.closed`, "the message")
	asha.Click("#notify")
	asha.WaitFor(`document.querySelector("#notify").ariaPressed === "false"`, "no more")
	asha.hasNoErrors()
}
