package browser

import (
	"context"
	"fmt"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// point is a place in the window, in CSS pixels.
type point struct{ X, Y float64 }

// middleOf returns the middle of what is seen of the first element that selector finds.
func (tab *Tab) middleOf(selector string) (at point) {
	tab.t.Helper()
	tab.WaitFor(fmt.Sprintf(`document.querySelector(%q)?.checkVisibility()`, selector), selector)
	tab.Eval(fmt.Sprintf(`(() => { const r = document.querySelector(%q).getBoundingClientRect(); return { X: r.x + r.width / 2, Y: r.y + r.height / 2 }; })()`, selector), &at)
	return at
}

// Hover moves the mouse over the first element that selector finds.
func (tab *Tab) Hover(selector string) {
	tab.t.Helper()
	at := tab.middleOf(selector)
	tab.do("hover over "+selector, func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseMoved, X: at.X, Y: at.Y})
		return none, err
	})
}

// Hold puts a finger on the first element that selector finds, and lifts it when a JavaScript expression is
// true.
func (tab *Tab) Hold(selector, until, what string) {
	tab.t.Helper()
	at := tab.middleOf(selector)
	touch := func(kind input.DispatchTouchEventType, points ...*input.TouchPoint) {
		tab.t.Helper()
		tab.do("touch "+selector, func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
			_, err = chromedp.Call(ctx, input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: kind, TouchPoints: append([]*input.TouchPoint{}, points...)})
			return none, err
		})
	}
	touch(input.DispatchTouchEventTypeTouchStart, &input.TouchPoint{X: at.X, Y: at.Y})
	tab.WaitFor(until, what)
	touch(input.DispatchTouchEventTypeTouchEnd)
}
