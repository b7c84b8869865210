package e2e_test

import (
	"strings"
	"testing"

	"setu/e2e/browser"
	"setu/e2e/cluster"
)

// audit is JavaScript: what keeps people from using the page. All that can be used has a name, is large
// enough for a finger where there is one, and fields are seen.
const audit = `(() => {
	const wrong = [], touch = matchMedia("(pointer: coarse)").matches;
	const rgb = (color) => { const c = new OffscreenCanvas(1, 1).getContext("2d"); c.fillStyle = color; c.fillRect(0, 0, 1, 1); return c.getImageData(0, 0, 1, 1).data; };
	const light = (color) => [...rgb(color)].slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => p - q); return (y + 0.05) / (x + 0.05); };
	const ground = (el) => { for (; el; el = el.parentElement) { const c = getComputedStyle(el).backgroundColor; if (c !== "rgba(0, 0, 0, 0)") return c; } return "white"; };
	const seen = (el) => el.checkVisibility({ visibilityProperty: true }) && !el.closest(".hidden, .skip, [inert]") && el.getBoundingClientRect().right > 0 && el.getBoundingClientRect().left < innerWidth;
	for (const el of document.querySelectorAll("button, input, textarea, a[href]")) {
		if (!seen(el)) continue;
		const named = el.ariaLabel || el.labels?.[0]?.textContent || (el.tagName === "BUTTON" || el.tagName === "A" ? el.textContent.trim() : "");
		if (!named) wrong.push("no name: " + el.outerHTML.slice(0, 100));
		const box = el.closest(".composer, .room-form")?.contains(el) && el.matches("input, textarea") ? el.parentElement : el;
		const size = box.getBoundingClientRect();
		if (touch && !el.closest(".text") && (size.height < 44 || size.width < 44)) wrong.push(Math.round(size.width) + " by " + Math.round(size.height) + ": " + el.outerHTML.slice(0, 100));
		if (!el.matches("input, textarea")) continue;
		const style = getComputedStyle(box), outlined = style.outlineStyle !== "none";
		const edge = contrast(outlined ? style.outlineColor : style.borderTopColor, ground(box.parentElement));
		if (edge < 3) wrong.push("an edge of " + edge.toFixed(2) + ": " + box.outerHTML.slice(0, 100));
	}
	for (const m of document.querySelectorAll(".message")) {
		const text = m.querySelector("time"), own = m.dataset.own ? "You, " : m.querySelector(".author bdi").textContent + ", ";
		if (m.role !== "article" || !m.ariaLabel.startsWith(own + text.textContent)) wrong.push("a message called " + m.role + " " + m.ariaLabel);
		if (contrast(getComputedStyle(text).color, ground(text)) < 4.5) wrong.push("a pale time");
	}
	return wrong;
})()`

// The page by keyboard, by touch, and with a screen reader.
func TestPageForEverybody(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	ben := startWriter(t, relay, "Ben", "harbour")
	for name, viewport := range map[string]browser.Viewport{"desktop light": browser.Desktop, "phone dark": browser.Phone.InDark()} {
		asha := meetPage(t, b, relay, "Asha", viewport)
		look := func(where string) {
			t.Helper()
			var wrong []string
			asha.Eval(audit, &wrong)
			for _, line := range wrong {
				t.Errorf("%s, %s: %s", name, where, line)
			}
			asha.Screenshot("page audit " + where + " " + name)
		}
		look("name")
		asha.enter(relay)
		asha.sees(ben.count("harbour", 2))
		asha.say("Good morning on a " + name)
		asha.sees("Good morning on a " + name)
		look("room")
		var pill string
		if asha.Eval(`document.querySelector("#pill").textContent`, &pill); len(pill) < 12 || pill[:12] != "Connection: " {
			t.Errorf("%s: the pill is called %q", name, pill)
		}
		if asha.phone {
			asha.Click("#rooms-button")
			asha.WaitFor(`document.querySelector("#rooms-panel").getBoundingClientRect().left === 0`, "the drawer")
			look("rooms")
			asha.hasNoErrors()
			continue
		}
		// The first key leads past all that is not writing, and who just writes is heard.
		asha.OpenUntil(relay.URL()+"/r/harbour", `document.body.dataset.ready !== undefined`, "the program to run")
		asha.WaitFor(`document.activeElement.id === "composer"`, "the focus where one writes")
		asha.Eval(`document.activeElement.blur()`, nil)
		asha.Press("x")
		asha.WaitFor(`document.activeElement.id === "composer" && document.querySelector("#composer").value === "x"`, "the first letter")
		asha.Eval(`document.querySelector(".skip").focus()`, nil)
		asha.WaitFor(`document.querySelector(".skip").getBoundingClientRect().width > 44`, "the way past the rooms to be seen")
		look("skip")
		asha.Press("Enter")
		asha.WaitFor(`document.activeElement.id === "composer"`, "the focus where one writes")
		asha.hasNoErrors()
	}
}

// On a narrow screen the room's name has its room, whatever the round trip, and the connection is still told in full
// to who does not see it.
func TestPagePillLeavesRoom(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	relay := cluster.StartRelay(t, cluster.NewNetwork(t), cluster.RelayOptions{Name: "dublin"})
	asha := openPage(t, browser.Start(t), relay, "Asha", browser.Phone)
	asha.WaitFor(`/^\d+ ms$/.test(document.querySelector("#pill-short").innerText) && / · \d+ ms$/.test(document.querySelector("#pill-label").textContent)`, "the round trip")
	var looks struct {
		Cut    bool
		Widths []float64
		Title  float64
	}
	asha.Eval(`(() => {
		const title = document.querySelector("#room-title"), pill = document.querySelector("#pill"), short = document.querySelector("#pill-short");
		const widths = ["9 ms", "165 ms", "1650 ms"].map(text => { short.textContent = text; return pill.getBoundingClientRect().width; });
		return { cut: title.scrollWidth > title.clientWidth, widths, title: title.clientWidth };
	})()`, &looks)
	if looks.Cut || looks.Widths[0] != looks.Widths[1] || looks.Widths[1] != looks.Widths[2] {
		t.Errorf("%+v", looks)
	}
	for _, n := range asha.Tree() {
		if n.Role == "button" && strings.HasPrefix(n.Name, "Connection: ") && !strings.Contains(n.Name, " · ") {
			t.Errorf("the pill is called %q", n.Name)
		}
	}
	asha.Screenshot("page pill phone light")

	// What there is not has no line, and what is drawn stands in the middle.
	asha.Click("#pill")
	asha.WaitFor(`document.querySelector("#connection").matches(":popover-open") && document.querySelectorAll("#bridge circle").length === 2`, "the bridge of a lone relay")
	var popover struct {
		Shown string
		Aside float64
	}
	asha.Eval(`(() => {
		const middle = (rects) => (Math.min(...rects.map(r => r.left)) + Math.max(...rects.map(r => r.right))) / 2, rect = (el) => el.getBoundingClientRect();
		return {
			shown: [...document.querySelectorAll("#connection dt")].filter(e => e.checkVisibility()).map(e => e.textContent).join(),
			aside: Math.abs(middle([...document.querySelectorAll("#bridge circle")].map(rect)) - middle([rect(document.querySelector("#connection"))])),
		};
	})()`, &popover)
	if popover.Shown != "You,Relay,Round trip,Reconnected,Recovered messages,Missed for good" || popover.Aside > 4 {
		t.Errorf("%+v", popover)
	}
	asha.Screenshot("page popover of a lone relay phone light")
	asha.Press("Escape")

	// The drawer's title and its button stand in one line, and a note that says nothing takes no room.
	asha.Click("#people-button")
	asha.WaitFor(`(() => {
		const note = document.querySelector("#people-note"), middle = (el) => { const r = el.getBoundingClientRect(); return (r.top + r.bottom) / 2; };
		if (!note.checkVisibility({ visibilityProperty: true })) return false;
		note.textContent = "";
		return Math.abs(middle(document.querySelector("#people-title")) - middle(document.querySelector("#people [data-do=close]"))) < 1 && !note.checkVisibility();
	})()`, "the drawer in order")
	asha.Screenshot("page drawer phone light")
}
