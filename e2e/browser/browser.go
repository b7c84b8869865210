// Package browser drives a real Chromium for tests, so that a test reads as
// what a person does:
//
//	b := browser.Start(t)
//	asha := b.Tab(t, browser.Desktop)
//	asha.Open(relay.URL())
//	asha.Type("#composer", "hello")
//	asha.Press("Enter")
//	asha.WaitFor(`document.querySelector("[role=log]").textContent.includes("hello")`, "her own message")
//
// What fails here fails the test. A failed test shows each tab's console and
// leaves a screenshot of it with the artifacts.
package browser

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

// Browser is one Chromium with an empty profile.
type Browser struct {
	ctx context.Context // the browser's life, in which chromedp keeps its state
}

// Start runs a Chromium that lives as long as the test. Without one the test is
// skipped; with CI=true it fails.
func Start(t testing.TB) *Browser {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a browser: skipped under -short")
	}
	path := find()
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs Chromium: set SETU_E2E_CHROMIUM or install chromium")
		}
		t.Skip("needs Chromium: set SETU_E2E_CHROMIUM or install chromium")
	}
	// Not the test's context, which ends before its cleanups: those still ask the
	// tabs for their state.
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options(path)...)
	t.Cleanup(stop)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	t.Cleanup(closeBrowser)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return &Browser{ctx: ctx}
}

// find returns the path of a Chromium, or "".
func find() string {
	candidates := []string{"chromium", "chromium-browser", "google-chrome"}
	if named := os.Getenv("SETU_E2E_CHROMIUM"); named != "" {
		candidates = []string{named}
	}
	for _, candidate := range candidates {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	return ""
}

// disabled are features of the browser around the page, which nobody sees here: without them a page costs half of the
// processors' time. Each window has two pages of its own for what the address bar would suggest, in a process of their
// own, and a process is made in advance for who goes to another site. The first two are chromedp's own.
const disabled = "Translate,BlinkGenPropertyTrees,WebUIOmniboxPopup,WebUIOmniboxAimPopup,SpareRendererForSitePerProcess"

func options(path string) []chromedp.ExecAllocatorOption {
	return append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path),
		// Tests run as root in containers, where the sandbox does not.
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-features", disabled),
		chromedp.Flag("lang", "en-US"),
		// A test that asks the outside world for anything is wrong: make it show.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
	)
}

// Viewport is the screen, and the person's taste, that a tab pretends to.
type Viewport struct {
	Width, Height int64
	Mobile        bool // a phone: touch, and pixels twice as dense
	Dark          bool // prefers-color-scheme
}

// Usual screens.
var (
	Desktop = Viewport{Width: 1280, Height: 800}
	Phone   = Viewport{Width: 360, Height: 740, Mobile: true}
)

// InDark is the same screen of somebody who prefers dark.
func (v Viewport) InDark() Viewport {
	v.Dark = true
	return v
}

// Tab opens a tab that shares nothing with the others, as another
// person's does.
func (b *Browser) Tab(t testing.TB, viewport Viewport) *Tab {
	t.Helper()
	return openTab(t, b.ctx, viewport, chromedp.WithNewBrowserContext())
}

// Beside opens another tab of the same person, with whom it shares what the
// browser stores.
func (tab *Tab) Beside(t testing.TB, viewport Viewport) *Tab {
	t.Helper()
	return openTab(t, tab.ctx, viewport)
}
