package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"setu/e2e/browser"
)

// clipboard is a script that notes what the page copies.
const clipboard = `navigator.clipboard.writeText = async (text) => { globalThis.copied = text; }`

// message is JavaScript: the message that says a text.
func message(text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(".message")].find(m => m.querySelector(".text").textContent === %q)`, text)
}

// withClipboard opens the page for Asha, and notes what she copies.
func withClipboard(t *testing.T, b *browser.Browser, url string, viewport browser.Viewport) person {
	t.Helper()
	p := person{b.Tab(t, viewport), t, "Asha", viewport.Mobile}
	p.Prepare(clipboard)
	p.OpenUntil(url, `document.body.dataset.ready !== undefined`, "the program to run")
	return p
}

// What one can do with a message, with a mouse and with keys: copy it, link to it, and answer it.
func TestPageActionsByMouseAndKeys(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	ben := startWriter(t, relay, "Ben", "harbour")
	asha := withClipboard(t, b, relay.URL()+"/r/harbour", browser.Desktop)
	asha.enter(relay)
	ben.Say("harbour", map[string]string{"text": "Shall we take the **early** ferry?"})
	ben.count("harbour", 3)
	asha.sees("3")

	asha.Hover(`.message[data-author]`)
	asha.WaitFor(`document.querySelector("#actions").checkVisibility()`, "the bar")
	asha.Screenshot("page actions desktop light")
	asha.Click(`#actions [data-do="copy"]`)
	asha.WaitFor(`copied === "Shall we take the **early** ferry?"`, "the text as it was written")
	asha.WaitFor(`document.activeElement.id === "composer"`, "the focus where one writes")

	// By keys: out of the composer into the list, to a message, into its bar.
	asha.Press("Shift+Tab") // the picture's button
	asha.Press("Shift+Tab")
	asha.WaitFor(`document.activeElement.id === "messages"`, "the list")
	asha.Press("ArrowUp")
	asha.WaitFor(`document.activeElement === `+message("3"), "the last message")
	asha.Press("ArrowUp")
	asha.Press("ArrowUp")
	asha.WaitFor(`document.activeElement === `+message("1"), "the first number")
	var tabStops int
	if asha.Eval(`[...document.querySelectorAll(".message")].filter(m => m.tabIndex >= 0).length`, &tabStops); tabStops != 0 {
		t.Errorf("%d messages are tab stops", tabStops)
	}
	asha.Press("Enter")
	asha.WaitFor(`document.activeElement.dataset.do === "reply"`, "the bar")
	asha.Press("ArrowRight")
	asha.Press("ArrowRight")
	asha.WaitFor(`document.activeElement.dataset.do === "link"`, "the last of the bar")
	asha.Press("Enter")
	asha.WaitFor(`/\/r\/harbour#m=2\.\S+$/.test(copied) && document.activeElement === `+message("1"), "the link, and the message again")
	asha.Press("Enter")
	asha.WaitFor(`document.activeElement.dataset.do === "reply"`, "the bar")
	asha.Press("Escape")
	asha.WaitFor(`document.activeElement === `+message("1")+` && !document.querySelector("#actions").checkVisibility()`, "Escape to close the bar and nothing else")
	asha.Press("ArrowUp")
	asha.Press("Enter")
	asha.Press("Enter")
	asha.WaitFor(`document.activeElement.id === "composer" && document.querySelector("#reply").checkVisibility() && document.querySelector("#reply").innerText.includes("Ben") && document.querySelector("#reply-text").textContent === "Shall we take the early ferry?"`, "what is answered")
	asha.Type("#composer", "@b")
	asha.WaitFor(`document.querySelector("#mentions").checkVisibility()`, "whom that may mean")
	asha.Press("Escape")
	asha.Eval(rests, nil)
	asha.WaitFor(`!document.querySelector("#mentions").checkVisibility() && document.querySelector("#reply").checkVisibility()`, "Escape to close the list and nothing else")
	asha.Press("Backspace")
	asha.Press("Backspace")
	asha.Press("Escape")
	asha.WaitFor(`!document.querySelector("#reply").checkVisibility()`, "no reply")
	asha.Press("Shift+Tab")
	asha.Press("Shift+Tab")
	asha.Press("ArrowUp")
	asha.Press("Enter")
	asha.Press("Enter")
	asha.say("Yes")
	asha.WaitFor(`document.querySelector('.message[data-own] .quote')?.textContent === "In reply to Ben: 3"`, "the quote")
	asha.sees("Yes")
	asha.hasNoErrors()
}

// What is being answered or edited is marked where it stands and quoted above the text, and the bar is at no
// message that has come to lie under a mouse that rests.
func TestPageSaysWhatIsMeant(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	ben := startWriter(t, relay, "Ben", "harbour")
	ben.count("harbour", 30)
	asha := openPage(t, browser.Start(t), relay, "Asha", browser.Desktop)
	asha.sees("30")
	asha.say("Mine")
	asha.sees("Mine")
	const aimed = `[...document.querySelectorAll(".message.aimed")].map(m => m.querySelector(".text").textContent).join()`
	const bar = `document.querySelector("#actions")`
	asha.Eval(message("28")+`.dataset.meant = ""`, nil)
	asha.Hover("[data-meant]")
	asha.WaitFor(bar+`.checkVisibility()`, "the bar")
	asha.Eval(`globalThis.was = document.querySelector(".message:last-child").getBoundingClientRect().top`, nil)
	asha.Click(`#actions [data-do="reply"]`)
	asha.WaitFor(`document.querySelector("#reply-text").textContent === "28" && `+aimed+` === "28"`, "what is answered")
	asha.WaitFor(`document.querySelector(".message:last-child").getBoundingClientRect().top < was - 20`, "the list to give way")
	asha.Eval(rests, nil)
	var there bool
	if asha.Eval(bar+`.checkVisibility()`, &there); there {
		t.Error("the bar is still there")
	}
	asha.Hover(".message[data-own]")
	asha.WaitFor(bar+`.checkVisibility() && `+bar+`.dataset.key.startsWith("own/")`, "the bar where the mouse has gone")
	asha.Click(`#actions [data-do="edit"]`)
	asha.WaitFor(`document.querySelector("#editing-of").textContent === "Mine" && `+aimed+` === "Mine"`, "what is edited")
	asha.Screenshot("page editing desktop light")
	asha.Press("Escape")
	asha.WaitFor(aimed+` === "28" && document.querySelector("#reply").checkVisibility()`, "the reply again")
	asha.Press("Escape")
	asha.WaitFor(aimed+` === ""`, "nothing to be meant")
	asha.hasNoErrors()
}

// The list is one stop of the Tab key. What can be pressed in a message is reached from there, and nothing else is.
func TestPageListIsOneStop(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	ben := startWriter(t, relay, "Ben", "harbour")
	for _, name := range []string{"one", "two", "three"} {
		ben.Say("harbour", map[string]string{"text": "https://a.example/" + name + "\n```\n" + strings.Repeat(name+" ", 100) + "\n```"})
	}
	asha := openPage(t, browser.Start(t), relay, "Asha", browser.Desktop)
	asha.WaitFor(`document.querySelectorAll(".message .code-block").length === 3`, "the messages")
	presses := func(keys, at string) {
		t.Helper()
		asha.Press(keys)
		asha.WaitFor(`(() => { const el = document.activeElement; return el.id || el.dataset.do || el.getAttribute("href") || el.textContent.trim().split(" ")[0]; })() === "`+at+`"`, keys+" to lead to "+at)
	}
	asha.Eval(`document.querySelector("#composer").focus()`, nil)
	presses("Shift+Tab", "attach")
	presses("Shift+Tab", "messages")
	presses("Shift+Tab", "pill")
	presses("Tab", "messages")
	presses("Tab", "attach")
	presses("Shift+Tab", "messages")
	asha.Press("ArrowUp")
	asha.Press("ArrowUp")
	presses("Tab", "https://a.example/two")
	presses("Tab", "two")
	asha.WaitFor(`document.activeElement.matches(".code-block:focus-visible")`, "the focus to be seen")
	presses("Tab", "reply") // of the message's bar
	presses("Shift+Tab", "two")
	presses("Escape", "composer")
	asha.hasNoErrors()
}

// By touch, and how a reply and a link travel.
func TestPageActionsByTouchAndLinks(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	ben := startWriter(t, relay, "Ben", "harbour")
	ben.count("harbour", 1)
	asha := withClipboard(t, b, relay.URL()+"/r/harbour", browser.Phone)
	asha.enter(relay)
	asha.sees("1")
	asha.holdsMessages(ben)
	asha.Eval(`Navigator.prototype.share = async ({ url }) => { globalThis.shared = url; }`, nil)
	asha.Click("#share")
	asha.WaitFor(`globalThis.shared === location.origin + "/r/harbour"`, "the room's link in the system's own dialog")
	asha.Hold(`.message[data-author] .bubble`, `document.querySelector("#actions").checkVisibility()`, "the bar")
	asha.Click(`#actions [data-do="link"]`)
	asha.WaitFor(`globalThis.copied?.includes("#m=1.")`, "the link")
	var link string
	asha.Eval(`copied`, &link)
	asha.Hold(`.message[data-author] .bubble`, `document.querySelector("#actions").checkVisibility()`, "the bar")
	asha.Click(`#actions [data-do="reply"]`)
	asha.say("Answered by touch")
	asha.sees("Answered by touch")
	ben.last = 1
	last := ben.count("harbour", 200)
	asha.sees(last)
	asha.Screenshot("page reply phone light")

	link = relay.URL() + link[strings.Index(link, "/r/"):]
	cleo := withClipboard(t, b, link, browser.Desktop.InDark())
	cleo.name = "Cleo"
	cleo.enter(relay)
	cleo.followsLinkAndQuote()
	cleo.isToldWhatWasSaid(startWriter(t, relay, "Mallory", "harbour"))
	cleo.hasNoErrors()
	asha.hasNoErrors()
}

// holdsMessages has the bar shown of a short message and of a long one, for a finger.
func (p person) holdsMessages(ben *writer) {
	p.t.Helper()
	p.Hold(`.message[data-author] .bubble`, `document.querySelector("#actions").checkVisibility()`, "the bar")
	p.Screenshot("page actions phone light")
	const isClear = `(() => {
		const bar = document.querySelector("#actions").getBoundingClientRect(), at = document.querySelectorAll(".message[data-at]"), text = at[0]?.querySelector(".text").getBoundingClientRect();
		return at.length === 1 && (bar.bottom <= text.top || bar.top >= text.bottom || bar.left >= text.right) && bar.left >= 8 && bar.right <= innerWidth - 8 && parseFloat(getComputedStyle(at[0].querySelector(".bubble")).outlineWidth) >= 2;
	})()`
	p.WaitFor(isClear, "the message to be marked, and not covered")
	ben.Say("harbour", map[string]string{"text": strings.Repeat("A long story of the harbour. ", 12)})
	p.WaitFor(`document.querySelectorAll(".message").length === 2`, "the story")
	p.Eval(`document.querySelector(".message[data-author]:last-child").dataset.meant = ""`, nil)
	p.Hold("[data-meant] .bubble", isClear, "the long one to be marked, and not covered")
	p.Screenshot("page actions beside nothing phone light")
	var small []string
	p.Eval(`[...document.querySelectorAll("#actions button")].filter(b => b.checkVisibility() && (b.getBoundingClientRect().height < 44 || b.getBoundingClientRect().width < 44)).map(b => b.outerHTML)`, &small)
	for _, button := range small {
		p.t.Errorf("too small for a finger: %s", button)
	}
	p.Press("Escape")
}

// followsLinkAndQuote has opened a link to a message that somebody has answered. It leads to the message, which is
// loaded up to there, and marked; so does the quote.
func (p person) followsLinkAndQuote() {
	p.t.Helper()
	marked := func(what string) {
		p.t.Helper()
		p.WaitFor(`(() => { const m = document.querySelector(".message.marked"), r = m?.getBoundingClientRect(), l = document.querySelector("#messages").getBoundingClientRect(); return m?.querySelector(".text").textContent === "1" && r.top >= l.top && r.bottom <= l.bottom && document.activeElement === m; })()`, what)
	}
	marked("the message of the link")
	p.WaitFor(`document.querySelector(".quote")?.textContent === "In reply to Ben: 1"`, "the quote")
	p.Screenshot("page reply desktop dark")
	p.Press("Escape")
	p.WaitFor(`!document.querySelector(".marked") && `+message("200"), "the end")

	p.Eval(`(() => { const m = document.querySelector("#messages"); m.scrollTop = 0; })()`, nil)
	p.WaitFor(`document.querySelector(".quote")`, "the reply to be in the document again")
	p.Click(".quote")
	marked("the message of the quote")
}

// isToldWhatWasSaid looks at a quote, and sees that who quotes can't put words into somebody's mouth.
func (p person) isToldWhatWasSaid(mallory *writer) {
	p.t.Helper()
	var place string
	p.Eval(`document.querySelector(".quote").dataset.place`, &place)
	offset := place[strings.Index(place, ".")+1:]
	mallory.Say("harbour", map[string]any{"text": "Look what he said", "reply": map[string]any{"offset": offset, "seq": 1, "name": "Ben", "excerpt": "I am a fool"}})
	p.Press("Escape")
	p.WaitFor(message("Look what he said")+`?.querySelector(".quote").textContent === "In reply to Ben: 1"`, "what he did say")
	mallory.Say("harbour", map[string]any{"text": "Nowhere", "reply": map[string]any{"offset": "gone", "seq": 99999, "name": "\u202eneB", "excerpt": "\u2066x"}})
	p.WaitFor(message("Nowhere"), "a reply to nothing")
	p.Eval(message("Nowhere")+`.querySelector(".quote").click()`, nil)
	p.WaitFor(`document.querySelector("#toast").checkVisibility() && document.querySelector("#toast").textContent === "That message is no longer kept"`, "that it is not there")
}
