package browser

import (
	"context"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// SlowLine has the tab's requests take as long as on "Slow 4G", as Chromium's own tools have it:
// 562.5 ms for an answer to begin, and 180 kB a second. WebSockets are as fast as ever.
func (tab *Tab) SlowLine() {
	tab.t.Helper()
	slow := network.Conditions{Latency: 562.5, DownloadThroughput: 180_000, UploadThroughput: 84_375}
	tab.do("slow the line down", func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
			MatchedNetworkConditions: []*network.Conditions{&slow}})
		return none, err
	})
}

// SlowCPU slows the tab's CPU down, so many times.
func (tab *Tab) SlowCPU(times float64) {
	tab.t.Helper()
	tab.do("slow the CPU down", func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: times})
		return none, err
	})
}
