package e2e_test

import (
	"strings"
	"testing"

	"setu/e2e/browser"
)

// slowPictures is JavaScript: a picture takes until open() to be prepared.
const slowPictures = `{
	const make = globalThis.making ??= createImageBitmap;
	const gate = new Promise((open) => { globalThis.open = open; });
	globalThis.createImageBitmap = async (file) => { await gate; return make(file); };
}`

// drawnTall is JavaScript: a picture that is sixty times as high as it is wide.
const drawnTall = `(async () => { const c = new OffscreenCanvas(40, 2400); c.getContext("2d").fillRect(0, 0, 40, 1200); return c.convertToBlob(); })()`

const (
	attachment = `document.querySelector("#attachment").checkVisibility()`
	preparing  = `document.querySelector("#counter").checkVisibility() && document.querySelector("#counter").textContent === "Preparing the picture…"`
)

// A picture that takes a while to be prepared goes with the message for which it was chosen, and with no other. In
// the list it takes no more room than any.
func TestPagePreparesPictures(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	asha := openPage(t, browser.Start(t), relay, "Asha", browser.Desktop)
	choose := func() {
		t.Helper()
		asha.Eval(slowPictures, nil)
		asha.Eval(give("choose", "mast.png", "image/png", drawnTall), nil)
		asha.WaitFor(preparing, "it to be prepared")
	}
	enter := func(room string) {
		t.Helper()
		asha.Type("#room-input", room)
		asha.Press("Enter")
		asha.WaitFor(`document.querySelector("#room-title").textContent.includes("`+room+`")`, "the room "+room)
	}
	asha.Type("#composer", "Look at this")
	choose()
	asha.Press("Enter")
	asha.isRefused("This is sent when the picture is ready")
	asha.writes("Look at this")
	asha.Eval(`open()`, nil)
	asha.sees("Look at this")
	asha.WaitFor(`document.querySelectorAll(".message").length === 1 && document.querySelector(".picture img").naturalHeight > 1000`, "the picture with it")
	var size struct{ W, H float64 }
	asha.Eval(`(r => ({ W: r.width, H: r.height }))(document.querySelector(".picture img").getBoundingClientRect())`, &size)
	if size.W < 44 || size.H < 44 || size.H > 281 {
		t.Errorf("it takes %v by %v", size.W, size.H)
	}

	choose()
	enter("quay")
	asha.WaitFor(`!(`+preparing+`)`, "nothing of it")
	asha.Eval(`open()`, nil)
	asha.WaitFor(`document.querySelector("#status").textContent.startsWith("Picture added")`, "it to be ready")
	asha.WaitFor(`!`+attachment, "no picture in the other room")
	enter("harbour")
	asha.WaitFor(attachment, "the picture where it was chosen")
	asha.Insert("#alt", "A mast")
	enter("quay")
	enter("harbour")
	asha.WaitFor(attachment+` && document.querySelector("#alt").value === "A mast"`, "its description")
	asha.hasNoErrors()
}

// A link to a message leads a phone to it, and asks nothing. By the keys its actions come as elsewhere.
func TestPageLinksOnAPhone(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	last := startWriter(t, relay, "Ben", "harbour").count("harbour", 40)
	asha := openPage(t, browser.Start(t), relay, "Asha", browser.Phone)
	asha.sees(last)
	var link string
	asha.opensBar("38")
	asha.Eval(`navigator.clipboard.writeText = async (text) => { globalThis.copied = text; }`, nil)
	asha.Click(`#actions [data-do="link"]`)
	asha.WaitFor(`globalThis.copied?.includes("#m=")`, "the link")
	asha.Eval(`copied`, &link)
	asha.Open("about:blank")
	asha.OpenUntil(relay.URL()+link[strings.Index(link, "/r/"):], `document.activeElement.matches(".message.marked")`, "the message of the link")
	asha.Eval(rests, nil)
	asha.WaitFor(`!document.querySelector("#actions").checkVisibility()`, "no actions")
	asha.Press("ArrowUp")
	asha.WaitFor(`document.querySelector("#actions").checkVisibility()`, "the actions of the one above")
	asha.hasNoErrors()
}

// A name of which nothing would be seen is asked for again, in words.
func TestPageTakesNoBlankName(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	asha := meetPage(t, browser.Start(t), relay, "Asha", browser.Desktop)
	asha.Eval(`document.querySelector("#name").addEventListener("invalid", ({ target }) => { globalThis.said = target.validationMessage; })`, nil)
	asha.Type("#name", "   ")
	asha.Press("Enter")
	asha.WaitFor(`globalThis.said === "Choose a name that is to be seen." && document.querySelector("#name-dialog").open`, "why it is asked for again")
	asha.enter(relay)
}

// A long name leaves the bar of an answer as it is, and the bar goes with the message that was answered.
func TestPageAnswersLongNames(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	long := openPage(t, b, relay, strings.Repeat("Nebukadnezar", 5), browser.Desktop)
	asha := openPage(t, b, relay, "Asha", browser.Desktop)
	long.say("Which ferry?")
	asha.sees("Which ferry?")
	asha.opensBar("Which ferry?")
	asha.Click(`#actions [data-do="reply"]`)
	const cut = `(() => {
		const name = document.querySelector("#reply-name").getBoundingClientRect(), close = document.querySelector('[data-do="no-reply"]').getBoundingClientRect();
		return close.width > 0 && name.width > 100 && name.right <= close.left;
	})()`
	asha.WaitFor(cut, "the name before the button")
	asha.Screenshot("page answers a long name desktop light")
	long.deletes("Which ferry?")
	asha.isRefused("The message that you answered was deleted")
	asha.WaitFor(`!document.querySelector("#reply").checkVisibility()`, "no answer")
	asha.hasNoErrors()
}
