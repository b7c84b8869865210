package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"setu/e2e/browser"
	"setu/e2e/client"
	"setu/e2e/cluster"
	"setu/e2e/judge"
)

// witness notes whatever runs, or was to run, because of what somebody else has written.
const witness = `(() => {
	const seen = [];
	globalThis.witnessed = seen;
	globalThis.pwned = (...what) => seen.push("ran " + what);
	for (const name of ["alert", "confirm", "prompt", "print", "open"]) globalThis[name] = (...what) => { seen.push(name + " " + what); };
	addEventListener("securitypolicyviolation", (e) => seen.push("policy " + e.violatedDirective + " " + e.blockedURI + " " + e.sample), true);
	addEventListener("error", (e) => seen.push("error " + (e.message ?? e.target?.outerHTML)), true);
	addEventListener("unhandledrejection", (e) => seen.push("rejection " + e.reason));
	const tags = new Set("DIV SPAN BDI A TIME BUTTON LI SVG PATH STRONG EM CODE PRE".split(" "));
	const look = (node) => {
		// The page's own markup is not looked at, and nothing of others is there before it is ready.
		if (node.nodeType !== 1 || !("ready" in (document.body?.dataset ?? {})) || !node.closest("#list, #rooms, #people, #room-title, #empty, #typing, #toast")) return;
		for (const el of [node, ...node.querySelectorAll("*")]) {
			const picture = el.matches(".picture > img") && /^data:image\/(webp|png|jpeg|gif);base64,[A-Za-z0-9+/=]*$/.test(el.getAttribute("src"));
			if (!picture && !tags.has(el.tagName.toUpperCase())) seen.push("element " + el.outerHTML.slice(0, 200));
			for (const a of el.attributes) if (!(picture && a.name === "src")) if (/^on|^style$|^src/i.test(a.name)) seen.push("attribute " + a.name);
			if (el.tagName === "A" && el.hasAttribute("target") && (!/^https?:$/.test(el.protocol) || el.rel !== "noopener noreferrer nofollow")) seen.push("link " + el.outerHTML.slice(0, 200));
			if (el.tagName === "A" && !el.hasAttribute("target") && el.origin !== location.origin) seen.push("link of the page " + el.outerHTML.slice(0, 200));
		}
	};
	new MutationObserver((list) => list.forEach((m) => m.addedNodes.forEach(look))).observe(document, { childList: true, subtree: true });
})()`

// sound is JavaScript: what is wrong with the page's layout. The composer can be used, nothing is
// wider than the screen, no message takes more than its share, and no text leaves its own bubble.
const sound = `(() => {
	const blank = (el) => /^[\s\p{Cc}\p{Cf}\p{M}\p{Default_Ignorable_Code_Point}\u2800\u{1d159}]*$/u.test(el?.textContent ?? "");
	const wrong = [], list = document.querySelector("#messages"), composer = document.querySelector("#composer");
	const wide = (name, el) => { if (el.scrollWidth > el.clientWidth + 1) wrong.push(name + " scrolls sideways: " + el.scrollWidth + " in " + el.clientWidth); };
	wide("the page", document.documentElement);
	wide("the list", list);
	for (const s of ["#rooms", "#people-list", ".top"]) wide(s, document.querySelector(s));
	const box = composer.getBoundingClientRect();
	if (box.height < 20 || box.width < 100 || box.bottom > innerHeight || box.right > innerWidth) wrong.push("the composer is at " + JSON.stringify(box));
	const hit = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
	if (hit !== composer) wrong.push("over the composer lies " + hit?.outerHTML.slice(0, 100));
	if (list.clientHeight < 200) wrong.push("the list has only " + list.clientHeight);
	for (const m of document.querySelectorAll(".message")) {
		const r = m.getBoundingClientRect(), b = m.querySelector(".bubble");
		if (r.height > 520) wrong.push("a message is " + r.height + " high: " + m.textContent.slice(0, 60));
		if (r.right > innerWidth || r.left < 0) wrong.push("a message leaves the screen: " + m.textContent.slice(0, 60));
		const clips = getComputedStyle(b).overflow === "hidden";
		if (!clips && b.scrollHeight > b.clientHeight + 2) wrong.push("a message leaves its bubble: " + m.textContent.slice(0, 60));
		if (blank(m.querySelector(".author bdi"))) wrong.push("somebody without a name");
		if (blank(m.querySelector(".text")) && !m.querySelector(".picture, .file")) wrong.push("a message with nothing to see");
		if (m.querySelector(".author").getBoundingClientRect().height > 24) wrong.push("an author is too high");
	}
	for (const el of document.querySelectorAll("#rooms bdi, #people-list bdi, #room-title bdi")) if (blank(el)) wrong.push("a row without a name");
	for (const li of document.querySelectorAll("#rooms li, #people-list li")) if (li.getBoundingClientRect().height > 60) wrong.push("a row is too high: " + li.textContent.slice(0, 60));
	return wrong;
})()`

var zalgo = func() string {
	var out strings.Builder
	for _, letter := range "ZALGO" {
		out.WriteRune(letter)
		for mark := rune(0x300); mark < 0x340; mark++ {
			out.WriteRune(mark)
		}
	}
	return out.String()
}()

// hostileNames are names that a relay takes: at most 64 characters.
var hostileNames = []string{
	`<script>pwned("name")</script>`, `<img src=x onerror=pwned("name")>`, `"><svg onload=pwned(1)>`, `' onmouseover='pwned(1)`,
	"\u202eahsA niatpaC", "a\u2069\u202eb", zalgo[:60], "\u200b\u200b\u2060", "\u2800\u2800", "\u0301\u0302", "\U000e0067\U0001d159", strings.Repeat("W", 64), strings.Repeat("👩‍👩‍👧‍👦", 9), "{{constructor.constructor('pwned(1)')()}}", "You",
	"﷽﷽﷽﷽﷽﷽﷽﷽", "Asha &amp; &#x3C;b&#x3E;",
}

var hostileRooms = []string{
	`<img src=x onerror=pwned("room")>`, `"><script>pwned("room")</script>`, "javascript:pwned(1)", "//evil.example/x", "../../etc", `\\evil.example\x`, "?room=x#y",
	"\u202emoor", zalgo + "ZAL", strings.Repeat("M", 200), "\u200b\u2060", "\u2800\u0301", "data:text/html,<script>pwned(1)</script>", "r?token=x&setu", "[data-room=\"x\"]", "__proto__", "constructor",
}

func hostileTexts() []string {
	texts := []string{
		strings.Repeat("𒐫", 40), "&lt;script&gt;pwned(1)&lt;/script&gt; &#60;img src=x onerror=pwned(1)&#62;",
		strings.Repeat(zalgo+" ", 30), strings.Repeat("\u200b\u200d\u2060\ufeff", 500), "\u3164",
		"\u2800", "\u0301\u0302", "\ufe0f", "\u2065\ufff0\U000e0fff", "\u00ad\u180e\u034f", "\u200b" + strings.Repeat("\n", 100) + "\u2800", "\U0001d159",
		strings.Repeat("A", 100_000), strings.Repeat("word ", 20_000), "top" + strings.Repeat("\n", 10_000) + "bottom",
		strings.Repeat("👩‍👩‍👧‍👦🏴‍☠️👍🏽", 2000), "🏴" + strings.Repeat("\U000e0067", 60), strings.Repeat("\u00a0", 5000) + "x", strings.Repeat("\t", 2000) + "x",
		"\u202e\u2066\u2067\u202dreversed \u202eagain", strings.Repeat("\u202e\u2067", 1000) + "x", strings.Repeat("﷽", 200),
		"a\x00b\x07c\x1b[31md\x7fe\u0085f\u009bg",
		`</style><style>*{display:none}</style><link rel=stylesheet href="//evil.example/x.css"><div style="position:fixed;inset:0">`,
		"{{7*7}} ${pwned(1)} <%= pwned(1) %> #{pwned(1)} [[pwned(1)]] `${pwned(1)}`", `<![CDATA[<script>pwned(1)</script>]]><!--><script>pwned(1)</script>-->`,
		"https://a.example/" + strings.Repeat("(.)", 30_000), strings.Repeat("https://a.example/x ", 4000), strings.Repeat("http://.", 10_000),
		`</template></textarea></title></noscript></div></script><script>pwned("breakout")</script>`,
	}
	texts = append(texts,
		`<script>pwned(1)</script>`, `<img src=x onerror=pwned(1)>`, `<svg/onload=pwned(1)>`, `<iframe srcdoc="<script>parent.pwned(1)</script>">`, `<a href="javascript:pwned(1)">x</a>`,
		`<details open ontoggle=pwned(1)>`, `<math><mtext></table><mglyph><style><img src onerror=pwned(1)>`, `<base href="//evil.example/">`, `<form action="//evil.example"><button>x`, `<meta http-equiv=refresh content="0;url=//evil.example">`,
	)
	texts = append(texts,
		"**<script>pwned(1)</script>** *<img src=x onerror=pwned(1)>* `<svg/onload=pwned(1)>`", "```html\n<script>pwned(1)</script>\n```", "```\"><script>pwned(1)</script>\nx\n```",
		strings.Repeat("*a **b ", 10_000), strings.Repeat("`a``b```c", 5_000), strings.Repeat("```\n", 10_000), strings.Repeat("**", 30_000), strings.Repeat("*x* ", 20_000), "```\n"+strings.Repeat("W", 20_000)+"\n```",
		"**\u200b**", "`\u2800`", "```\n\u3164\n```", "**https://google.com@evil.example/** `https://a.example/` **https://gооgle.example/**", strings.Repeat("@", 20_000),
	)
	for _, link := range []string{
		"javascript:pwned(1)", "JaVaScRiPt:pwned(1)", "java\tscript:pwned(1)", "javascript://https://a.example/%0apwned(1)", "data:text/html,<script>pwned(1)</script>", "vbscript:msgbox(1)",
		"https://javascript:pwned(1)", `https://a.example/"onmouseover="pwned(1)`, `https://a.example/'><script>pwned(1)</script>`, "https://google.com@evil.example/", "blob:https://a.example/x", "file:///etc/passwd", "https://[evil", "http://a.example\u202e/moc.elgoog", "https://a.example:99999999/",
	} {
		texts = append(texts, "see "+link)
	}
	return texts
}

// What one may not do to the others by what one is called, where one goes and what one writes.
func TestPageAmongTheHostile(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	relay := cluster.StartRelay(t, cluster.NewNetwork(t), cluster.RelayOptions{Name: "dublin"})
	b := browser.Start(t)
	history := judge.Record(t, judge.Rules{Kept: 256})
	var people []person
	for _, viewport := range []browser.Viewport{browser.Desktop, browser.Phone.InDark()} {
		p := person{b.Tab(t, viewport), t, "Asha", viewport.Mobile}
		if viewport.Mobile {
			p.name = "Ben"
		}
		p.Prepare(witness)
		p.OpenUntil(relay.URL()+"/r/harbour", `document.body.dataset.ready !== undefined`, "the program to run")
		p.enter(relay)
		people = append(people, p)
	}
	mallory := client.Connect(t, client.Options{Name: hostileNames[0], History: history, Relays: endpoints([]*cluster.Relay{relay})})
	mallory.Join("harbour", client.JoinOptions{})
	inspect := func(stage string) {
		t.Helper()
		for _, p := range people {
			p.inspect(stage)
		}
	}

	sayHostile(mallory)
	for _, p := range people {
		p.sees("That was all.")
		p.WaitFor(`["https://xn--pple-43d.com/", "https://xn--ggle-55da.com:8443/x", "https://münchen.example"].every(t => [...document.querySelectorAll(".text a")].some(a => a.textContent === t))`, "hosts that pass for others to be encoded")
	}
	inspect("texts")
	for _, p := range people {
		p.sendsNothingBlank()
	}
	readThrough(people)
	meetHostile(t, relay, history)
	seeNames(people)
	inspect("names")
	enterHostile(people)
	inspect("rooms")
	leaveHostile(people)
	for _, p := range people {
		p.hasNoErrors()
	}
}

// sayHostile has mallory write what may do something to the others.
func sayHostile(mallory *client.Client) {
	for _, text := range hostileTexts() {
		mallory.Say("harbour", map[string]any{"text": text})
	}
	mallory.Say("harbour", map[string]any{"text": "https://аpple.com/ and https://gооgle.com:8443/x and https://münchen.example"})
	for _, raw := range []string{
		`{"text":"a reply","reply":{"offset":"<img src=x onerror=pwned(1)>","seq":1,"name":"<script>pwned(1)</script>","excerpt":"\u202e\u2066<b>x"}}`, `{"text":"a reply","reply":{"offset":"x","name":"","excerpt":"` + strings.Repeat("W", 5000) + `"}}`,
		`{"text":"a reply","reply":[1]}`, `{"text":"a reply","reply":{"offset":7}}`, `{"text":"@x @\u200b mentions","mentions":[{"id":"x","name":"x"},{"id":"y","name":"\u200b"},{"id":1}]}`, `{"text":"mentions","mentions":"pwned(1)"}`,
		`{"image":{"data":{"_placeholder":true,"num":0},"alt":"<script>pwned(1)</script>"}}`, `{"image":null}`, `{"text":"x","image":{"data":-1}}`,
	} {
		mallory.Say("harbour", json.RawMessage(raw))
	}
	for _, raw := range []string{`{"__proto__":{"text":"x"}}`, `{"text":{"toString":"pwned(1)"}}`, `"<script>pwned(1)</script>"`, `{"html":"<img src=x onerror=pwned(1)>"}`, `[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]`, `null`, `1e999`, `{"text":""}`} {
		if json.Valid([]byte(raw)) {
			mallory.Say("harbour", json.RawMessage(raw))
		}
	}
	mallory.Say("harbour", map[string]any{"text": "That was all."})
}

// readThrough has everybody look at each stretch of the list, unfold what is long, and say something.
func readThrough(people []person) {
	for screen := range 6 {
		for _, p := range people {
			p.Eval(fmt.Sprintf(`(() => { const m = document.querySelector("#messages"); m.scrollTop = m.scrollHeight * %d / 6; return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))); })()`, screen), nil)
			p.Screenshot(fmt.Sprintf("hostile %s %d", p.kind(), screen))
		}
	}
	for _, p := range people {
		p.Eval(`document.querySelectorAll(".unfold").forEach(b => b.click())`, nil)
		p.WaitFor(`document.documentElement.scrollWidth <= innerWidth && document.querySelector("#messages").scrollWidth <= document.querySelector("#messages").clientWidth + 1`, "no sideways scrolling")
		p.Eval(`document.querySelectorAll(".unfold").forEach(b => b.click())`, nil)
		p.Eval(`document.querySelector("#to-end").click()`, nil)
		p.say("Still here, says " + p.name)
		p.sees("Still here, says " + p.name)
	}
}

// meetHostile brings somebody of each hostile name, who says so.
func meetHostile(t *testing.T, relay *cluster.Relay, history *judge.History) {
	t.Helper()
	for i, name := range hostileNames {
		m := client.Connect(t, client.Options{Name: name, As: fmt.Sprint("mallory ", i), Key: fmt.Sprintf("the secret key of mallory %d", i), History: history, Relays: endpoints([]*cluster.Relay{relay})})
		m.Join("harbour", client.JoinOptions{})
		m.Say("harbour", map[string]any{"text": "I am called that."})
	}
}

// seeNames has everybody look at all who say what they are called.
func seeNames(people []person) {
	for _, p := range people {
		p.WaitFor(fmt.Sprintf(`[...document.querySelectorAll(".message .text")].filter(e => e.textContent === "I am called that.").length === %d`, len(hostileNames)), "all of them")
		if !p.phone {
			p.WaitFor(`document.querySelectorAll("#people-list li").length > 10`, "the list of people")
		}
		p.Screenshot("hostile names " + p.kind())
	}
}

// enterHostile has everybody enter the rooms of hostile names.
func enterHostile(people []person) {
	for _, room := range hostileRooms {
		for _, p := range people {
			p.Eval(fmt.Sprintf(`(() => { const i = document.querySelector("#room-input"); i.value = %s; i.form.requestSubmit(); })()`, quoteJS(room)), nil)
		}
	}
	for _, p := range people {
		p.WaitFor(fmt.Sprintf(`document.querySelectorAll("#rooms li").length >= %d`, len(hostileRooms)-2), "the rooms")
		p.WaitFor(`document.querySelector("#empty-title").textContent.includes("Nobody has written")`, "the last one to be entered")
		p.Screenshot("hostile rooms " + p.kind())
	}
}

// leaveHostile has everybody look at each room, and leave them all.
func leaveHostile(people []person) {
	for _, p := range people {
		p.Eval(`(async () => { for (const a of [...document.querySelectorAll("#rooms a")]) { a.click(); await new Promise(done => requestAnimationFrame(done)); } })()`, nil)
		p.WaitFor(`document.querySelector("#pill").dataset.status === "connected"`, "the connection")
		p.Eval(`document.querySelectorAll("#rooms [data-leave]").forEach(b => b.click())`, nil)
		p.WaitFor(`!document.querySelector("#rooms li")`, "no room to be left")
	}
}

func quoteJS(s string) string {
	text, _ := json.Marshal(s) // a string
	return string(text)
}

// kind names the screen.
func (p person) kind() string {
	if p.phone {
		return "phone dark"
	}
	return "desktop light"
}

// sendsNothingBlank fails the test if the page takes for a message of which nothing would be seen.
func (p person) sendsNothingBlank() {
	p.t.Helper()
	var before, after int
	const count = `document.querySelectorAll(".message[data-own]").length`
	p.Eval(count, &before)
	p.Insert("#composer", "\u200b\u2800\u0301")
	p.Eval(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))`, nil)
	var off bool
	if p.Eval(`document.querySelector("#send").disabled`, &off); !off {
		p.t.Errorf("%s: the button sends what is blank", p.kind())
	}
	p.Press("Enter")
	p.Eval(`new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done())))`, nil)
	if p.Eval(count, &after); after != before {
		p.t.Errorf("%s: what is blank was sent", p.kind())
	}
	p.Eval(`(() => { const c = document.querySelector("#composer"); c.value = ""; c.dispatchEvent(new Event("input", { bubbles: true })); })()`, nil)
}

// inspect fails the test if something ran, or the page has come apart.
func (p person) inspect(stage string) {
	p.t.Helper()
	var ran, wrong []string
	p.Eval("witnessed", &ran)
	p.Eval(sound, &wrong)
	for _, line := range append(ran, wrong...) {
		p.t.Errorf("%s, %s: %s", p.kind(), stage, line)
	}
	p.hasNoErrors()
}
