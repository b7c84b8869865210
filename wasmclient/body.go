//go:build js && wasm

package main

import (
	"cmp"
	"encoding/base64"
	"strconv"
	"strings"
	"syscall/js"

	"setu/wasmclient/chat"
)

// bodyWriters write what a message says into its bubble, by its kind. Text is the element of what was
// written, which stands in there already; what else there is goes before it.
var bodyWriters = [chat.BodyKinds]func(bubble, text js.Value, body *chat.Body, folded bool){
	chat.BodyText:    writeText,
	chat.BodyPicture: writePicture,
	chat.BodyFile:    writeFiles,
	chat.BodyUnknown: writeUnknown,
	chat.BodyDeleted: writeUnknown,
}

// writeBody writes what a message says anew, and the quote of what it answers.
func (a *app) writeBody(bubble, text js.Value, e *chat.Entry, t *chat.Timeline, folded bool) {
	for first := bubble.Get("firstElementChild"); !first.Equal(text); first = bubble.Get("firstElementChild") {
		first.Call("remove")
	}
	if e.Body.Reply != nil {
		writeQuote(bubble, text, e.Body.Reply, t)
	}
	bodyWriters[e.Body.Kind](bubble, text, e.Body, folded)
}

// writeQuote writes the quote of the message that another one answers, which leads there.
func writeQuote(bubble, text js.Value, r *chat.Reply, t *chat.Timeline) {
	name, excerpt, own := t.Quoted(r)
	if own {
		name = "You"
	}
	quote := clone(byID("quote-template"))
	setAttr(quote, "data-place", chat.Target{Seq: r.Seq, Offset: r.Offset}.String())
	setText(find(quote, ".quote-name"), name)
	setText(quote.Get("lastElementChild"), excerpt)
	bubble.Call("insertBefore", quote, text)
}

// shownText returns what is written of a body's text.
func shownText(body *chat.Body, folded bool) string {
	text := body.Shown()
	if folded {
		text = chat.Folded(text)
	}
	return text
}

func writeUnknown(_, el js.Value, body *chat.Body, folded bool) { setText(el, shownText(body, folded)) }

// writeText writes a text, as text nodes, links, and elements that say how a part of it is shown.
func writeText(_, el js.Value, body *chat.Body, folded bool) {
	text := shownText(body, folded)
	segments := chat.Format(text, body.Names())
	if len(segments) == 1 && segments[0].Href == "" && segments[0].Style == 0 {
		setText(el, text)
		return
	}
	setText(el, "")
	for i := range segments {
		s := &segments[i]
		if s.Style&chat.Mark == 0 {
			writeSegment(el, s)
		}
	}
}

func writeSegment(el js.Value, s *chat.Segment) {
	shown := linkText(s)
	if shown == "" {
		shown = s.Text
	} else {
		link := create("a", "", shown)
		setAttr(link, "href", s.Href)
		setAttr(link, "rel", "noopener noreferrer nofollow")
		setAttr(link, "target", "_blank")
		el, shown = wrapped(el, s.Style), ""
		el.Call("append", link)
	}
	switch {
	case shown == "":
	case s.Style&chat.CodeBlock != 0:
		block := create("pre", "code-block", "")
		if s.Language != "" {
			setAttr(block, "data-language", s.Language)
		}
		block.Call("append", create("code", "", shown))
		el.Call("append", block)
	case s.Style&chat.Code != 0:
		wrapped(el, s.Style).Call("append", create("code", "", shown))
	case s.Style&chat.Mention != 0:
		wrapped(el, s.Style).Call("append", create("span", "mention", shown))
	default:
		appendText(wrapped(el, s.Style), shown)
	}
}

// wrapped returns the element into which a part of el goes that is bold, or italic, or both.
func wrapped(el js.Value, style chat.Style) js.Value {
	if style&chat.Bold != 0 {
		el = appended(el, create("strong", "", ""))
	}
	if style&chat.Italic != 0 {
		el = appended(el, create("em", "", ""))
	}
	return el
}

// appended appends an element to another one, and returns it.
func appended(el, inner js.Value) js.Value {
	el.Call("append", inner)
	return inner
}

// linkText returns what is shown of a link: its address, in which a host that may pass for another
// one is encoded. It returns "" if s is no link, or leads nowhere.
func linkText(s *chat.Segment) (text string) {
	if s.Href == "" {
		return ""
	}
	tryJS(func() {
		encoded := window.Get("URL").New(s.Href).Get("host").String()
		text = s.Text
		if host := chat.Host(s.Href); chat.LooksLikeAnother(host) {
			text = strings.Replace(s.Text, host, encoded, 1)
		}
	})
	return text
}

// writePicture writes a picture, at a size that is known before it is decoded. Its address holds its bytes:
// so the page's policy need not allow others, and nothing has to be let go of.
func writePicture(bubble, text js.Value, body *chat.Body, folded bool) {
	p := body.Picture
	width, height := p.InList()
	button := clone(byID("picture-template"))
	setAttr(button, "aria-label", cmp.Or(p.Alt, "Picture")+", open")
	setPicture(button.Get("firstElementChild"), p, width, height)
	bubble.Call("insertBefore", button, text)
	writeCaption(bubble, text, body, folded)
}

// setPicture has an element show a picture.
func setPicture(el js.Value, p *chat.Picture, width, height int) {
	setAttr(el, "width", strconv.Itoa(width))
	setAttr(el, "height", strconv.Itoa(height))
	setAttr(el, "alt", p.Alt)
	setAttr(el, "src", "data:"+p.Type+";base64,"+base64.StdEncoding.EncodeToString(p.Data))
}

// writeCaption writes what was written with what is no text, if anything.
func writeCaption(bubble, text js.Value, body *chat.Body, folded bool) {
	if body.Text == "" {
		setText(text, "")
		return
	}
	writeText(bubble, text, body, folded)
}

// writeFiles writes attachments that are not shown: what they are is for whoever saves them to find out.
func writeFiles(bubble, text js.Value, body *chat.Body, folded bool) {
	for i, file := range body.Files {
		row := clone(byID("file-template"))
		setText(row.Get("firstElementChild"), "File, "+chat.Size(len(file)))
		setAttr(row.Get("lastElementChild"), "data-file", strconv.Itoa(i))
		bubble.Call("insertBefore", row, text)
	}
	writeCaption(bubble, text, body, folded)
}
