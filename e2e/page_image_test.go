package e2e_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"testing"

	"setu/e2e/browser"
	"setu/e2e/client"
)

// testPicture is a picture that does not become small by itself.
func testPicture(width, height int) image.Image {
	p := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.White, color.RGBA{20, 90, 140, 255}, color.RGBA{230, 170, 60, 255}})
	random := rand.New(rand.NewPCG(1, 2))
	for y := range height {
		for x := range width {
			p.SetColorIndex(x, y, uint8((x/40+y/40+random.IntN(5)/4)%3))
		}
	}
	return p
}

func encoded(t *testing.T, encode func(*bytes.Buffer) error) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := encode(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// give is JavaScript that gives the page a file as a person does: by the button, the clipboard, or dropped.
func give(how, name, kind string, size string) string {
	event := map[string]string{
		"choose": `const f = document.querySelector("#file"); f.files = data.files; f.dispatchEvent(new Event("change"));`,
		"paste":  `document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));`,
		"drop":   `document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));`,
	}[how]
	return fmt.Sprintf(`(async () => { const data = new DataTransfer(); data.items.add(new File([await (%s)], %q, { type: %q })); %s })()`, size, name, kind, event)
}

// drawn is JavaScript: a large picture that no camera would make smaller.
const drawn = `(async () => {
	const c = new OffscreenCanvas(3000, 2000), x = c.getContext("2d"), p = x.createImageData(3000, 2000);
	for (let i = 0, s = 7; i < p.data.length; i += 4) { s = (s * 1103515245 + 12345) & 0x7fffffff; p.data[i] = i / 4 % 3000 / 12; p.data[i + 1] = i / 12000 / 8; p.data[i + 2] = 90 + (s >> 16) % 60; p.data[i + 3] = 255; }
	x.putImageData(p, 0, 0);
	return c.convertToBlob({ type: "image/png" });
})()`

// A picture is added by button, by paste and by drop, made small, sent, and seen by others.
func TestPagePictures(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	asha := openPage(t, b, relay, "Asha", browser.Desktop)
	ben := openPage(t, b, relay, "Ben", browser.Phone.InDark())
	added := func() {
		t.Helper()
		asha.WaitFor(`document.querySelector("#attachment").checkVisibility() && document.querySelector("#attached").naturalWidth > 0 && !document.querySelector("#send").disabled`, "the picture")
	}
	asha.Eval(give("paste", "photo.png", "image/png", drawn), nil)
	added()
	asha.Screenshot("page attached desktop light")
	asha.Click(`[data-do="no-picture"]`)
	asha.WaitFor(`!document.querySelector("#attachment").checkVisibility() && document.querySelector("#send").disabled`, "no picture")
	asha.Eval(give("drop", "photo.png", "image/png", drawn), nil)
	added()
	asha.Eval(`document.querySelector("#alt").value = "A slope at dusk"`, nil)
	asha.Type("#composer", "From **yesterday**")
	asha.leavesAndReturns("From **yesterday**", "A slope at dusk")
	added()
	asha.awaitConnected(relay)
	asha.Eval(`document.querySelector("#composer").focus()`, nil)
	asha.Press("Enter")
	const shown = `document.querySelector('.message[data-state="sent"] .picture img')`
	for _, p := range []person{asha, ben} {
		p.WaitFor(shown+`?.complete && `+shown+`.naturalWidth > 0`, p.name+" to see the picture")
		for what, js := range map[string]string{
			"WebP":             shown + `.src.startsWith("data:image/webp;base64,")`,
			"at most 100 kB":   `atob(` + shown + `.src.split(",")[1]).length <= 100000`,
			"its shape":        `Math.abs(` + shown + `.naturalWidth / ` + shown + `.naturalHeight - 1.5) < 0.01 && Math.abs(` + shown + `.clientWidth / ` + shown + `.clientHeight - 1.5) < 0.03`,
			"its size known":   `Number(` + shown + `.getAttribute("width")) === 360 && Number(` + shown + `.getAttribute("height")) === 240`,
			"what is on it":    shown + `.alt === "A slope at dusk" && document.querySelector(".picture").ariaLabel === "A slope at dusk, open"`,
			"what was written": `document.querySelector(".message .text strong").textContent === "yesterday"`,
			"no policy broken": `document.documentElement.scrollWidth <= innerWidth`,
		} {
			var holds bool
			if p.Eval(js, &holds); !holds {
				t.Errorf("%s: %s", p.name, what)
			}
		}
		p.Screenshot("page picture " + p.kind())
	}
	looksClosely(asha, ben)

	// A picture alone, over a reload before it is sent.
	asha.Eval(give("choose", "small.png", "image/png", `(async () => { const c = new OffscreenCanvas(40, 3); c.getContext("2d"); return c.convertToBlob(); })()`), nil)
	added()
	asha.Click("#send")
	ben.WaitFor(`document.querySelectorAll(".picture-only .picture img").length === 1`, "a picture alone")

	// What is none is refused, and says why.
	for _, bad := range []struct{ name, content, why string }{
		{"x.svg", `'<svg xmlns="http://www.w3.org/2000/svg"/>'`, "Only pictures"}, {"x.png", `"no picture"`, "Only pictures"},
		{"bomb.png", `new Uint8Array([137,80,78,71,13,10,26,10,0,0,0,13,73,72,68,82,0,1,134,160,0,1,134,160,8,6,0,0,0])`, "100,000 by 100,000"},
		{"broken.png", `new Uint8Array([137,80,78,71,13,10,26,10,0,0,0,13,73,72,68,82,0,0,0,9,0,0,0,9,8,6,0,0,0])`, "can’t be read"},
	} {
		asha.Eval(give("choose", bad.name, "image/png", bad.content), nil)
		asha.WaitFor(fmt.Sprintf(`document.querySelector("#toast").checkVisibility() && document.querySelector("#toast").textContent.includes(%q)`, bad.why), bad.name+" to be refused")
	}
	asha.hasNoErrors()
	ben.hasNoErrors()
}

// leavesAndReturns leaves the harbour and comes back to what was being written, with what was said of its picture.
func (p person) leavesAndReturns(text, alt string) {
	p.t.Helper()
	p.Eval(`document.querySelector('[data-leave="harbour"]').click()`, nil)
	p.WaitFor(`location.pathname === "/"`, "no room")
	p.Eval(`history.back()`, nil)
	p.WaitFor(fmt.Sprintf(`location.pathname === "/r/harbour" && document.querySelector("#composer").value === %q && document.querySelector("#alt").value === %q`, text, alt), "what was written")
}

// looksClosely has a picture shown large, by keys and by touch. Escape closes it and leads back.
func looksClosely(asha, ben person) {
	asha.t.Helper()
	asha.Eval(`document.querySelector(".picture").focus()`, nil)
	asha.Press("Enter")
	asha.WaitFor(`document.querySelector("#picture-dialog").open && document.querySelector("#picture").naturalWidth > 360 && document.querySelector("#picture").alt === "A slope at dusk"`, "the picture, large")
	asha.Screenshot("page picture large desktop light")
	asha.Press("Escape")
	asha.WaitFor(`!document.querySelector("#picture-dialog").open && document.activeElement.className === "picture"`, "where she was")
	ben.Click(".picture")
	ben.WaitFor(`document.querySelector("#picture-dialog").open`, "the picture, large")
	ben.Screenshot("page picture large phone dark")
	ben.Click(`[data-do="close-picture"]`)
	ben.WaitFor(`!document.querySelector("#picture-dialog").open`, "the chat")
}

// What others send as a picture is shown if its bytes are one of a reasonable size, whatever they say it is;
// all else can be downloaded.
func TestPageHostilePictures(t *testing.T) {
	t.Parallel()
	relay := startLoneRelay(t)
	b := browser.Start(t)
	asha := person{b.Tab(t, browser.Phone), t, "Asha", true}
	asha.Prepare(witness)
	asha.OpenUntil(relay.URL()+"/r/harbour", `document.body.dataset.ready !== undefined`, "the program to run")
	asha.enter(relay)
	mallory := startWriter(t, relay, "Mallory", "harbour")
	send := func(picture []byte, image map[string]any, more map[string]any) {
		t.Helper()
		image["data"] = client.Bytes(picture)
		data := map[string]any{"image": image}
		for k, v := range more {
			data[k] = v
		}
		mallory.Say("harbour", data)
	}
	small := testPicture(60, 40)
	png1 := encoded(t, func(out *bytes.Buffer) error { return png.Encode(out, small) })
	send(png1, map[string]any{"alt": `"><img src=x onerror=pwned(1)>`, "type": "image/svg+xml", "width": 1e9}, nil)
	send(encoded(t, func(out *bytes.Buffer) error { return gif.Encode(out, small, nil) }), map[string]any{}, map[string]any{"text": "gif"})
	send(encoded(t, func(out *bytes.Buffer) error { return jpeg.Encode(out, small, nil) }), map[string]any{"alt": 7}, nil)
	const good = 3
	send(bytes.Clone(png1[:len(png1)/2]), map[string]any{}, nil) // cut: the browser shows what there is
	bomb := bytes.Clone(png1)
	copy(bomb[16:], []byte{0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0})
	files := [][]byte{
		bomb, []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="pwned(1)"/>`), []byte("<script>pwned(1)</script>"), {}, {0x89},
		append([]byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte{0}, 40)...), []byte("GIF89a\x00\x00\x00\x00"), []byte("\xff\xd8\xff\xff\xff\xff"), []byte("RIFF\x00\x00\x00\x00WEBPVP8X"),
	}
	for _, file := range files {
		send(file, map[string]any{}, nil)
	}
	mallory.Say("harbour", map[string]any{"text": "with a picture that is none", "image": "javascript:pwned(1)"})
	mallory.Say("harbour", map[string]any{"file": client.Bytes([]byte("abc"))})
	asha.WaitFor(fmt.Sprintf(`document.querySelectorAll(".message .picture img").length === %d && document.querySelectorAll(".message .file").length === %d`, good+1, len(files)+1), "pictures, and files")
	asha.WaitFor(fmt.Sprintf(`[...document.querySelectorAll(".picture img")].filter(i => i.naturalWidth === 60).length >= %d`, good), "those that are whole")
	asha.WaitFor(message("with a picture that is none"), "the text")
	asha.Screenshot("page hostile pictures phone light")
	var wrong []string
	asha.Eval(`(() => { globalThis.saved = []; URL.createObjectURL = (blob) => { saved.push(blob.type + " " + blob.size); return "about:blank"; }; HTMLAnchorElement.prototype.click = function () { saved.push(this.download); }; return []; })()`, &wrong)
	asha.Eval(`[...document.querySelectorAll('[data-do="save"]')].filter(b => b.closest(".message")).at(-1).click()`, nil)
	asha.WaitFor(`saved.join() === "application/octet-stream 3,attachment.bin"`, "a file that nothing opens")
	asha.say("Still here")
	asha.sees("Still here")
	asha.inspect("pictures")
}
