package browser

import (
	"context"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// SetTimeZone has the tab's clock stand in a zone, such as "Pacific/Auckland".
func (tab *Tab) SetTimeZone(zone string) {
	tab.t.Helper()
	tab.do("set the time zone", func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone})
		return none, err
	})
}

// DisableScripts has the tab run no scripts of its pages. Those of the test run.
func (tab *Tab) DisableScripts() {
	tab.t.Helper()
	tab.do("disable scripts", func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return none, err
	})
}
