package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"setu/e2e/browser"
)

// What a screen reader makes of the page, what the Tab key does, and what can be told from its ground.
// The rules are those of WCAG 2.2 (1.3.1, 1.4.3, 2.4.3, 2.4.7, 4.1.2) that can be computed.

// interactive are roles that somebody acts on, so that they need a name.
var interactive = []string{"button", "link", "textbox", "searchbox", "checkbox", "radio", "combobox", "listbox", "menu", "menuitem", "option", "switch", "slider", "tab", "dialog", "alertdialog", "progressbar", "image", "img", "log", "article", "complementary", "region", "navigation"}

// judgeTree returns what is wrong with an accessibility tree. Of a page that is covered, by a dialog or a
// drawer, what is under that is not in it.
func judgeTree(nodes []browser.Node, covered bool) (wrong []string) {
	landmarks, level := map[string]int{}, 0
	named := map[string]int{}
	for i, n := range nodes {
		what := fmt.Sprintf("%s %q", n.Role, n.Name)
		if slices.Contains(interactive, n.Role) && strings.TrimSpace(n.Name) == "" {
			wrong = append(wrong, what+" has no name")
		}
		if n.Focusable && (n.Role == "generic" || n.Role == "none" || n.Role == "paragraph") {
			wrong = append(wrong, what+" takes the focus and is nothing")
		}
		if n.Role == "main" || n.Role == "log" || n.Role == "status" {
			landmarks[n.Role]++
		}
		if n.Role == "heading" {
			if level != 0 && n.Level > level+1 {
				wrong = append(wrong, fmt.Sprintf("%s is of level %d after %d", what, n.Level, level))
			}
			level = n.Level
		}
		if n.Role == "button" { // what is called alike must differ by where it stands
			named[fmt.Sprint(what, " in ", owner(nodes, i))]++
		}
	}
	for what, count := range named {
		if count > 1 {
			wrong = append(wrong, fmt.Sprintf("%d times %s", count, what))
		}
	}
	if !covered && (landmarks["main"] != 1 || landmarks["log"] > 1 || landmarks["status"] != 1) {
		wrong = append(wrong, fmt.Sprint("landmarks ", landmarks))
	}
	return wrong
}

// nearest returns the index of the closest ancestor of a role, or -1.
func nearest(nodes []browser.Node, i int, roles ...string) int {
	for i = nodes[i].Parent; i >= 0 && !slices.Contains(roles, nodes[i].Role); {
		i = nodes[i].Parent
	}
	return i
}

// owner is the number of what a button belongs to: a message, a row, a part of the page.
func owner(nodes []browser.Node, i int) int {
	return nearest(nodes, i, "article", "listitem", "dialog", "complementary", "main", "log", "alert")
}

// pale is JavaScript: texts whose contrast with what is behind them is below WCAG's AA.
const pale = `(() => {
	const paint = (layers) => { const c = new OffscreenCanvas(1, 1).getContext("2d"); for (const l of layers) { c.fillStyle = l; c.fillRect(0, 0, 1, 1); } return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3); };
	const light = (rgb) => rgb.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (el) => { const layers = []; for (; el; el = el.parentElement) layers.unshift(getComputedStyle(el).backgroundColor); return ["Canvas", ...layers]; };
	const wrong = [], seen = new Set();
	const check = (el, color, what) => {
		const layers = behind(el), ground = light(paint(layers)), ink = light(paint([...layers, color]));
		const [a, b] = [ground, ink].sort((x, y) => x - y), contrast = (b + 0.05) / (a + 0.05), style = getComputedStyle(el), size = parseFloat(style.fontSize);
		const least = size >= 24 || size >= 18.66 && style.fontWeight >= 700 ? 3 : 4.5;
		const line = contrast.toFixed(2) + " of " + el.className + ": " + what.trim().slice(0, 40);
		if (contrast < least && !seen.has(line)) { seen.add(line); wrong.push(line); }
	};
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; n = walker.nextNode();) {
		const el = n.parentElement;
		if (!n.data.trim() || !el.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || el.closest("button:disabled, template, noscript, script, .hidden, [data-state=pending]")) continue;
		const range = document.createRange(); range.selectNodeContents(n);
		if (range.getBoundingClientRect().width < 2) continue;
		check(el, getComputedStyle(el).color, n.data);
	}
	for (const el of document.querySelectorAll("input, textarea")) if (el.placeholder && !el.value && el.checkVisibility({ visibilityProperty: true })) check(el, getComputedStyle(el, "::placeholder").color, el.placeholder);
	return wrong;
})()`

// dangling is JavaScript: references to elements that are not there, and ids that are twice.
const dangling = `(() => {
	const wrong = [], ids = [...document.querySelectorAll("[id]")].map(el => el.id);
	for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push("twice: #" + id);
	for (const name of ["aria-controls", "aria-labelledby", "aria-describedby", "aria-activedescendant", "for", "popovertarget"])
		for (const el of document.querySelectorAll("[" + name + "]"))
			for (const id of el.getAttribute(name).split(" ")) if (id && !ids.includes(id)) wrong.push(name + " of " + id);
	if (!document.documentElement.lang || !document.title) wrong.push("no language or title");
	return wrong;
})()`

// stops is JavaScript: what the Tab key is to reach, each with a number of its own.
const stops = `(() => {
	let n = 0;
	for (const el of document.querySelectorAll("[data-stop]")) delete el.dataset.stop;
	const root = document.querySelector("dialog:modal") ?? document;
	for (const el of root.querySelectorAll("a[href], button:not(:disabled), input:not(:disabled), textarea:not(:disabled), [tabindex]"))
		if (el.tabIndex >= 0 && !el.closest("[inert]") && (!el.closest(".message") || el.matches("[data-do=retry], [data-do=discard]")) && el.checkVisibility({ visibilityProperty: true })) el.dataset.stop = ++n;
	document.activeElement.blur();
	getSelection().removeAllRanges();
	return n;
})()`

// focused is JavaScript: where the focus is, and whether that can be seen.
const focused = `(() => {
	const el = document.activeElement, style = getComputedStyle(el), frame = el.closest(".composer, .room-form") ?? el, border = getComputedStyle(frame);
	return { stop: Number(el.dataset.stop ?? 0), what: el.outerHTML.slice(0, 90), seen: style.outlineStyle !== "none" || border.boxShadow !== "none" || frame.matches(".room-form:focus-within") };
})()`

// judgeStops presses Tab until the focus is where it began, and returns what is wrong: what is never
// reached, what is reached before what stands above it in the document, what does not show it.
func judgeStops(tab person) (wrong []string) {
	var count int
	tab.Eval(stops, &count)
	last, reached := 0, map[int]bool{}
	for range count + 3 {
		tab.Press("Tab")
		var at struct {
			Stop int
			What string
			Seen bool
		}
		tab.Eval(focused, &at)
		if at.Stop == 0 || reached[at.Stop] {
			continue // the browser's own, or once more from the beginning
		}
		if reached[at.Stop] = true; at.Stop < last {
			wrong = append(wrong, "after what follows it: "+at.What)
		}
		if last = at.Stop; !at.Seen {
			wrong = append(wrong, "does not show the focus: "+at.What)
		}
	}
	for stop := 1; stop <= count; stop++ {
		if !reached[stop] {
			var what string
			tab.Eval(fmt.Sprintf(`document.querySelector('[data-stop="%d"]')?.outerHTML.slice(0, 90) ?? "gone"`, stop), &what)
			wrong = append(wrong, "is never reached: "+what)
		}
	}
	return wrong
}

func auditPage(tab person) (wrong []string) {
	var covered bool
	tab.Eval(`document.querySelector("dialog:modal") !== null || document.querySelector("main").inert`, &covered)
	wrong = judgeTree(tab.Tree(), covered)
	for _, check := range []string{pale, dangling} {
		var found []string
		tab.Eval(check, &found)
		wrong = append(wrong, found...)
	}
	return wrong
}

// TestPageAudit looks at the page in each of its states, in light, in dark and in forced colors.
func TestPageAudit(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	ben := startWriter(t, relay, "Ben", "harbour")
	for name, viewport := range map[string]browser.Viewport{"desktop light": browser.Desktop, "desktop dark": browser.Desktop.InDark(), "phone light": browser.Phone, "phone dark": browser.Phone.InDark()} {
		asha := meetPage(t, b, relay, "Asha", viewport)
		look := func(where string, stops bool) {
			t.Helper()
			wrong := auditPage(asha)
			if stops {
				wrong = append(wrong, judgeStops(asha)...)
			}
			for _, line := range wrong {
				t.Errorf("%s, %s: %s", name, where, line)
			}
		}
		look("name", true)
		asha.enter(relay)
		look("empty", false)
		asha.sees(ben.count("harbour", ben.last+3))
		ben.Say("harbour", map[string]string{"text": "See https://example.com/x"})
		asha.say("Good morning on a " + name)
		asha.sees("Good morning on a " + name)
		look("room", !asha.phone)
		asha.reactsAndDeletes(name)
		look("reactions", !asha.phone)
		for opens, what := range map[string]string{"quick": "emoji", "delete": "sure"} {
			asha.opensBar("Good morning on a " + name + "!")
			asha.Click(`#actions [data-open="` + opens + `"]`)
			asha.WaitFor(`document.querySelector("#actions .`+what+`").checkVisibility()`, "what the bar turns into")
			look(opens, false)
			asha.Screenshot("page bar " + opens + " " + name)
			asha.Eval(`document.querySelector("#composer").focus()`, nil)
		}
		asha.Click("#pill")
		asha.WaitFor(`document.querySelector("#connection").matches(":popover-open")`, "what the pill knows")
		look("connection", false)
		asha.Eval(`document.querySelector("#connection").hidePopover()`, nil)
		if asha.phone {
			asha.Click("#rooms-button")
			asha.WaitFor(`document.querySelector("#rooms-panel").getBoundingClientRect().left === 0`, "the drawer")
			look("rooms", false)
			asha.Press("Escape")
		}
		asha.ForceColors()
		look("forced colors", false)
		asha.Screenshot("page forced colors " + name)
		asha.hasNoErrors()
		asha.Open("about:blank")
	}
}

// reactsAndDeletes has what was said of messages on the screen: reactions, an edit, a deleted message.
func (p person) reactsAndDeletes(name string) {
	p.t.Helper()
	mine := "Good morning on a " + name
	for i, value := range []string{"👍", "any text"} {
		p.opensBar(mine)
		p.Eval(fmt.Sprintf(`document.querySelector("#actions .emoji").dataset.value = %q; document.querySelector("#actions .emoji").click()`, value), nil)
		p.WaitFor(fmt.Sprintf(`%s.querySelectorAll(".reaction").length === %d`, message(mine), i+1), "the reaction")
	}
	p.say("What was said on a " + name)
	p.sees("What was said on a " + name)
	p.opensBar("What was said on a " + name)
	p.Eval(`document.querySelector('#actions [data-do="delete"]').click()`, nil)
	p.WaitFor(`document.querySelector(".deleted")`, "the message to be deleted")
	p.opensBar(mine)
	p.Eval(`document.querySelector('#actions [data-do="edit"]').click()`, nil)
	p.Type("#composer", "!")
	p.send()
	p.WaitFor(`document.querySelector(".edited") && !document.querySelector("#editing").checkVisibility()`, "the edit")
}

// TestPageAuditSees breaks the page in each way that the audit is for.
func TestPageAuditSees(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	asha := openPage(t, browser.Start(t), relay, "Asha", browser.Desktop)
	asha.say("Good morning")
	asha.sees("Good morning")
	for fault, want := range map[string]string{
		`document.querySelector("#send").ariaLabel = ""`:                                                                        `button "" has no name`,
		`document.querySelector(".message").ariaLabel = ""; document.querySelector(".message").role = "img"`:                    `has no name`,
		`document.querySelector("#me-note").tabIndex = 0`:                                                                       `takes the focus and is nothing`,
		`document.querySelector("#status").remove()`:                                                                            `landmarks`,
		`document.querySelector("#people-title").ariaLevel = 5`:                                                                 `is of level 5`,
		`document.querySelector("#share").ariaLabel = "Send"`:                                                                   `2 times button "Send"`,
		`document.documentElement.style.setProperty("--muted", "#a0a0a0")`:                                                      `of person-note`,
		`document.querySelector("#toast").id = "status"`:                                                                        `twice: #status`,
		`document.querySelector("#counter").remove()`:                                                                           `aria-describedby of counter`,
		`document.querySelector("#share").tabIndex = 3`:                                                                         `after what follows it`,
		`document.querySelector("#share").addEventListener("focus", (e) => { e.target.style.outline = "none" })`:                `does not show the focus`,
		`addEventListener("keydown", (e) => { if (e.key === "Tab" && document.activeElement.id === "me") e.preventDefault() })`: `is never reached`,
	} {
		asha.OpenUntil(relay.URL()+"/r/harbour", `document.body.dataset.ready !== undefined`, "the program to run")
		asha.awaitConnected(relay)
		asha.sees("Good morning")
		asha.Eval(fault+"; null", nil)
		wrong := append(auditPage(asha), judgeStops(asha)...)
		if !slices.ContainsFunc(wrong, func(line string) bool { return strings.Contains(line, want) }) {
			t.Errorf("%s is not seen: %q", fault, wrong)
		}
	}
}
