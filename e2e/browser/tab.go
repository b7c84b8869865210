package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// stepTimeout bounds every step, and what WaitFor waits for. Generous, since
// machines that run tests are shared.
const stepTimeout = time.Minute

// Tab is one page.
type Tab struct {
	t        testing.TB
	ctx      context.Context // the tab's life, in which chromedp keeps its state
	viewport Viewport
	console  *console
	traffic  *traffic
}

func openTab(t testing.TB, browser context.Context, viewport Viewport, options ...chromedp.ContextOption) *Tab {
	t.Helper()
	tab := &Tab{t: t, viewport: viewport, traffic: newTraffic()}
	options = append(options, chromedp.WithListener(tab.traffic.see))
	ctx, closeTab := chromedp.NewContext(browser, options...)
	tab.ctx = ctx
	tab.console = listen(ctx)
	t.Cleanup(func() {
		tab.showFailure()
		closeTab()
		tab.console.wait()
	})
	// The first run makes the tab, for as long as its context lives: so without the
	// timeout of a step.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	tab.do("emulate the screen", viewport.emulate())
	return tab
}

func (v Viewport) emulate() chromedp.Action[chromedp.Void] {
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
	var options []chromedp.EmulateViewportOption
	if v.Mobile {
		options = []chromedp.EmulateViewportOption{chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait, chromedp.EmulateScale(2)}
	}
	return chromedp.Steps(
		chromedp.EmulateViewport(v.Width, v.Height, options...),
		func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
			return chromedp.Void{}, err
		},
	)
}

// Open goes to url, waits until it has loaded, and counts its traffic from zero.
func (tab *Tab) Open(url string) {
	tab.t.Helper()
	tab.OpenUntil(url, "true", "the page")
}

// OpenUntil is Open, and then waits until a JavaScript expression is true, as
// WaitFor does. A page of which the machine's network has taken a part is opened
// anew, from nothing, and what it said of its loss is forgotten.
func (tab *Tab) OpenUntil(url, expression, what string) {
	tab.t.Helper()
	const attempts = 6
	for attempt := 1; ; attempt++ {
		tab.traffic.reset()
		said := len(tab.console.soFar())
		err := tab.try(chromedp.Navigate(url))
		if err == nil {
			err = tab.wait(expression, tab.traffic.wasDisturbed)
		}
		disturbed := tab.traffic.wasDisturbed() || err != nil && strings.Contains(err.Error(), networkChanged)
		if err == nil && !disturbed {
			return
		}
		if !disturbed || attempt == attempts {
			tab.t.Fatalf("open %s, and wait for %s (%s): %v", url, what, expression, err)
		}
		tab.do("empty the cache", func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
			_, err = chromedp.Call(ctx, network.ClearBrowserCache, cdp.Empty{})
			return none, err
		})
		tab.do("leave the page", chromedp.Navigate("about:blank"))
		tab.Console() // what the page said last has arrived
		tab.console.forget(said)
	}
}

// Eval evaluates JavaScript, awaits the promise if it is one, and decodes the
// value into out; nil drops it.
func (tab *Tab) Eval(js string, out any) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, stepTimeout)
	defer cancel()
	if err := tab.eval(ctx, js, out); err != nil {
		tab.t.Fatalf("evaluate %s: %v", js, err)
	}
}

func (tab *Tab) eval(ctx context.Context, js string, out any) error {
	value, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte](js, chromedp.EvalAwaitPromise))
	if err != nil || out == nil {
		return err
	}
	if value == nil {
		value = []byte("null") // undefined
	}
	return json.Unmarshal(value, out)
}

// WaitFor polls until a JavaScript expression is true. What it stands for is
// told when it never is.
func (tab *Tab) WaitFor(expression, what string) {
	tab.t.Helper()
	if err := tab.wait(expression, func() bool { return false }); err != nil {
		tab.t.Fatalf("waited %v for %s (%s): %v", stepTimeout, what, expression, err)
	}
}

// wait polls until an expression is true, or giveUp.
func (tab *Tab) wait(expression string, giveUp func() bool) error {
	return tab.poll(func(ctx context.Context) (holds bool, err error) {
		err = tab.eval(ctx, "Boolean("+expression+")", &holds)
		return holds, err
	}, giveUp)
}

// poll asks until the answer is yes, or giveUp.
func (tab *Tab) poll(ask func(context.Context) (bool, error), giveUp func() bool) error {
	ctx, cancel := context.WithTimeout(tab.ctx, stepTimeout)
	defer cancel()
	ticker := time.NewTicker(30 * time.Millisecond)
	defer ticker.Stop()
	last := fmt.Errorf("it stayed false")
	for {
		holds, err := ask(ctx)
		if holds {
			return nil
		}
		// The page may be between two documents: an error now is not the end.
		if err != nil && ctx.Err() == nil {
			last = err
		}
		if giveUp() {
			return last
		}
		select {
		case <-ctx.Done():
			return last
		case <-ticker.C:
		}
	}
}

// do runs one step and fails the test, by name, when it fails.
func (tab *Tab) do(what string, step chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	if err := tab.try(step); err != nil {
		tab.t.Fatalf("%s: %v", what, err)
	}
}

func (tab *Tab) try(step chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(tab.ctx, stepTimeout)
	defer cancel()
	return chromedp.Do(ctx, step)
}
