package e2e_test

import (
	"strings"
	"testing"

	"setu/e2e/browser"
)

// Code, what is bold and italic, and line breaks, as everybody writes them.
func TestPageFormatsText(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	ben := startWriter(t, relay, "Ben", "harbour")
	for name, viewport := range map[string]browser.Viewport{"desktop light": browser.Desktop, "phone dark": browser.Phone.InDark()} {
		asha := openPage(t, b, relay, "Asha", viewport)
		ben.Say("harbour", map[string]string{"text": "Do **not** use `rm -rf` *here*:\n- one\n- two, see https://a.example/*x*/\n```go\nfunc main() {\n\tfmt.Println(\"" + strings.Repeat("a long line ", 20) + "\")\n}\n```\nand <b>this</b> stays."})
		const last = `[...document.querySelectorAll(".message")].at(-1)`
		asha.WaitFor(last+`?.querySelector(".code-block")`, "the code")
		for what, js := range map[string]string{
			"bold":            last + `.querySelector("strong").textContent === "not"`,
			"italic":          last + `.querySelector("em").textContent === "here"`,
			"code":            last + `.querySelector(".text > code").textContent === "rm -rf"`,
			"a block":         last + `.querySelector("pre code").textContent.startsWith("func main() {\n\tfmt") && ` + last + `.querySelector("pre").dataset.language === "go"`,
			"no marks":        `!/[*` + "`" + `](not|rm|here)/.test(` + last + `.textContent)`,
			"a link":          last + `.querySelector("a").textContent === "https://a.example/*x*/"`,
			"no markup":       `!` + last + `.querySelector("b") && ` + last + `.querySelector(".text").textContent.endsWith("and <b>this</b> stays.")`,
			"line breaks":     last + `.querySelector(".text").innerText.includes("\n- one\n- two")`,
			"monospaced":      `/mono/i.test(getComputedStyle(` + last + `.querySelector("pre code")).fontFamily)`,
			"close lines":     `getComputedStyle(` + last + `.querySelector("pre")).lineHeight === "20px"`,
			"an indent":       `(() => { const n = ` + last + `.querySelector("pre code").firstChild, wide = (at) => { const r = document.createRange(); r.setStart(n, at); r.setEnd(n, at + 1); return r.getBoundingClientRect().width; }; return Math.abs(wide(14) - 4 * wide(0)) < 0.5; })()`,
			"code scrolls":    `(() => { const p = ` + last + `.querySelector("pre"); p.scrollLeft = 50; return p.scrollWidth > p.clientWidth && p.scrollLeft === 50; })()`,
			"a shade says so": `(() => { const s = getComputedStyle(` + last + `.querySelector("pre")); return s.backgroundImage.split("linear-gradient").length === 5 && s.backgroundAttachment.startsWith("local, local, scroll, scroll"); })()`,
			"nothing wider":   `document.documentElement.scrollWidth <= innerWidth && document.querySelector("#messages").scrollWidth <= document.querySelector("#messages").clientWidth + 1`,
		} {
			var holds bool
			if asha.Eval(js, &holds); !holds {
				t.Errorf("%s: %s: %s", name, what, js)
			}
		}
		asha.Screenshot("page code " + name)
		asha.hasNoErrors()
		asha.Open("about:blank")
	}
}
