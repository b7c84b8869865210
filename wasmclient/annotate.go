//go:build js && wasm

package main

import (
	"context"
	"strconv"
	"strings"
	"syscall/js"
	"time"

	"setu/relay/client"
	"setu/wasmclient/chat"
)

// onAnnotation shows what somebody has said of a message. It is nothing to be counted or told of.
func (a *app) onAnnotation(n client.Annotation) {
	r := a.rooms.Find(n.Room)
	if r == nil || !r.Annotate(annotation(n)) {
		return
	}
	if r.Reply != nil {
		if r.SettleReply(); r.Reply == nil {
			a.toast("The message that you answered was deleted")
		}
		a.saveWriting(r)
		a.invalidate(partComposer)
	}
	if r == a.rooms.Current {
		a.invalidate(partList)
	}
}

// question is something that the relay is asked to keep of a message.
type question struct {
	room    *chat.Room
	refused string // begins the sentence that says why it was not done
	late    string // the sentence while the answer is late
	next    string // the sentence that says what to do without a connection
	ask     func(ctx context.Context, c *client.Client) (client.Annotated, error)
	then    func(err error)
}

// lateAfter is how long an answer takes until the page says that there is none yet: the connection may be lost,
// and nobody knows yet.
const lateAfter = 2 * time.Second

// annotate asks the relay for something in a goroutine, and says why it was refused. It reports whether it has
// asked: without a connection it says at once that nothing was done. Of a room that is left meanwhile it says nothing.
func (a *app) annotate(q question) bool {
	if sentence := a.pill.Refusal(q.refused, q.next); sentence != "" {
		a.toast(sentence)
		return false
	}
	c := a.client
	a.goGuarded(func() {
		ctx, cancel := timeoutContext(requestTimeout)
		defer cancel()
		late := time.AfterFunc(lateAfter, func() { a.withLock(func() { a.toast(q.late + ": no answer from the relay yet") }) })
		_, err := q.ask(ctx, c)
		late.Stop()
		a.withLock(func() {
			if !a.rooms.Has(q.room) {
				return // a second try is refused for that alone, and the first may have been taken
			}
			if err != nil {
				a.toast(q.refused + ": " + reason(err))
			}
			q.then(err)
		})
	})
	return true
}

// tryAgain is what to do without a connection where nothing is kept.
const tryAgain = "Try again when there is one."

// react gives a reaction to a message, or takes it back. What is shown is what the relay says then.
func (a *app) react(r *chat.Room, e *chat.Entry, value string) {
	if !e.Annotatable() || value == "" || !a.mayWrite() {
		return
	}
	offset, remove := e.Offset, e.Annotations.Mine(value)
	a.annotate(question{
		room: r, refused: "Your reaction was not stored", late: "Your reaction waits", next: tryAgain,
		ask: func(ctx context.Context, c *client.Client) (client.Annotated, error) {
			return c.React(ctx, r.Name, offset, value, remove)
		},
		then: func(err error) {
			switch shown := (chat.Reaction{Value: value}).Shown(); {
			case err != nil:
			case remove:
				a.announce("Took back " + shown)
			default:
				a.announce("Reacted with " + shown)
			}
		},
	})
}

// remove deletes a message of this user's, which its button has asked about.
func (a *app) remove(r *chat.Room, e *chat.Entry) {
	if !e.Deletable() || !a.mayWrite() {
		return
	}
	offset := e.Offset
	a.annotate(question{
		room: r, refused: "Not deleted", late: "Not deleted yet", next: tryAgain,
		ask: func(ctx context.Context, c *client.Client) (client.Annotated, error) {
			return c.DeleteMessage(ctx, r.Name, offset)
		},
		then: func(err error) {
			if err == nil {
				a.announce("Message deleted for everybody")
			}
		},
	})
}

// writeReactions writes what a message has been given, below its bubble. A button stays the same one, so
// that it keeps the focus. Screen readers are told of new messages, and not of this.
func (a *app) writeReactions(bubble js.Value, e *chat.Entry) {
	line := bubble.Get("nextElementSibling")
	if line.IsNull() || !line.Get("classList").Call("contains", "reactions").Bool() {
		if len(e.Annotations.Reactions) == 0 {
			return
		}
		line = create("div", "reactions", "")
		setAttr(line, "aria-live", "off")
		bubble.Call("after", line)
	}
	inside := line.Call("contains", document.Get("activeElement")).Bool()
	dropReactions(line, e)
	children := line.Get("children")
	for i, r := range e.Annotations.Reactions {
		chip := children.Index(i)
		if !chip.Truthy() || attribute(chip, "data-value") != r.Value { // both are in one order
			chip = clone(byID("reaction-template"))
			setAttr(chip, "data-value", r.Value)
			setText(chip.Get("firstElementChild"), r.Shown())
			line.Call("insertBefore", chip, children.Call("item", i))
		}
		setText(chip.Get("lastElementChild"), strconv.Itoa(r.Count))
		setAttr(chip, "aria-pressed", strconv.FormatBool(r.Me))
		setAttr(chip, "aria-label", r.Label())
		setAttr(chip, "title", r.Shown())
		chip.Set("disabled", !a.mayWrite())
	}
	writeMore(line, e.Annotations.Folded())
	if inside && !line.Call("contains", document.Get("activeElement")).Bool() {
		a.focusUnlessTouch()
	}
	if len(e.Annotations.Reactions) == 0 {
		line.Call("remove")
	}
}

// writeMore has a button show how many reactions are folded away, and public/page.js unfold them.
func writeMore(line js.Value, folded int) {
	more := find(line, ".more")
	switch {
	case folded == 0 && !more.IsNull():
		more.Call("remove")
	case folded > 0:
		if more.IsNull() {
			more = clone(byID("more-template"))
			line.Call("append", more)
		}
		setAttr(more, "data-more", strconv.Itoa(folded))
		setAttr(more, "aria-label", strconv.Itoa(folded)+" more reactions")
	}
}

// dropReactions removes those that nobody gives any more.
func dropReactions(line js.Value, e *chat.Entry) {
	children, at := line.Get("children"), 0
	for at < children.Length() {
		value := attribute(children.Index(at), "data-value")
		if value == "" || e.Annotations.Index(value) >= 0 { // without a value it is the one that shows the others
			at++
		} else {
			children.Index(at).Call("remove")
		}
	}
}

// switchReactions has reactions take presses, or not: who may not write may not react.
func switchReactions(off bool) {
	chips := document.Call("querySelectorAll", ".reaction")
	for i := range chips.Length() {
		chips.Index(i).Set("disabled", off)
	}
}

// writeEdited says beside a message's time that it was edited, and when.
func (a *app) writeEdited(meta js.Value, e *chat.Entry) {
	mark := find(meta, ".edited")
	if e.Annotations.EditedAt == 0 {
		if !mark.IsNull() {
			mark.Call("remove")
		}
		return
	}
	if mark.IsNull() {
		mark = appended(meta, create("span", "edited", "edited"))
	}
	setAttr(mark, "title", "Edited "+a.clock.long(e.Annotations.EditedAt))
}

// tellAnnotations adds what was said of a message to its name, and says to public/page.js what can be done
// with it.
func tellAnnotations(el js.Value, e *chat.Entry) {
	may := []string{}
	if e.Editable() {
		may = append(may, "edit")
	}
	if e.Deletable() {
		may = append(may, "delete")
	}
	setAttr(el, "data-may", strings.Join(may, " "))
	if e.Annotations.EditedAt > 0 {
		setAttr(el, "aria-label", attribute(el, "aria-label")+", edited")
	}
}
