package browser

import (
	"context"
	"fmt"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// Hide minimizes the tab's window: the page is hidden and has no focus.
func (tab *Tab) Hide() {
	tab.t.Helper()
	tab.do("hide", tab.window(cdpbrowser.WindowStateMinimized))
	tab.WaitFor(`document.hidden`, "the page to be hidden")
}

// Show undoes Hide.
func (tab *Tab) Show() {
	tab.t.Helper()
	tab.do("show", tab.window(cdpbrowser.WindowStateNormal))
	tab.WaitFor(`!document.hidden`, "the page to be seen")
}

func (tab *Tab) window(state cdpbrowser.WindowState) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
		window, err := chromedp.Call(ctx, cdpbrowser.GetWindowForTarget, cdpbrowser.GetWindowForTargetParams{})
		if err != nil {
			return none, err
		}
		_, err = chromedp.Call(ctx, cdpbrowser.SetWindowBounds, cdpbrowser.SetWindowBoundsParams{
			WindowID: window.WindowID, Bounds: &cdpbrowser.Bounds{WindowState: state},
		})
		return none, err
	}
}

// Offline takes the network away from the page, or gives it back, and tells the
// page so. New requests and sockets fail; what an open socket sends or is sent
// is held until the network is back.
func (tab *Tab) Offline(offline bool) {
	tab.t.Helper()
	const unlimited = -1
	tab.do(fmt.Sprintf("offline %t", offline), func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
			MatchedNetworkConditions: []*network.Conditions{{Offline: offline, DownloadThroughput: unlimited, UploadThroughput: unlimited}},
		})
		if err != nil {
			return none, err
		}
		_, err = chromedp.Call(ctx, network.OverrideNetworkState, network.OverrideNetworkStateParams{
			Offline: offline, DownloadThroughput: unlimited, UploadThroughput: unlimited,
		})
		return none, err
	})
}
