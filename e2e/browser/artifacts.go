package browser

import (
	"context"
	"fmt"
	"time"

	"github.com/chromedp/chromedp"

	"setu/e2e/artifact"
)

// Screenshot keeps what the tab shows as NAME.png with the artifacts (package
// artifact), and returns the file's path.
func (tab *Tab) Screenshot(name string) string {
	tab.t.Helper()
	path, err := tab.screenshot(name)
	if err != nil {
		tab.t.Fatalf("screenshot %s: %v", name, err)
	}
	return path
}

func (tab *Tab) screenshot(name string) (string, error) {
	ctx, cancel := context.WithTimeout(tab.ctx, stepTimeout)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return "", err
	}
	return artifact.Write(name+".png", png)
}

// showFailure shows what a failed test's tab looked like and said.
func (tab *Tab) showFailure() {
	if !tab.t.Failed() {
		return
	}
	for _, message := range tab.console.soFar() {
		tab.t.Logf("console | %s", message)
	}
	path, err := tab.screenshot(fmt.Sprintf("failed %s %d", tab.t.Name(), time.Now().UnixMilli()))
	if err != nil {
		tab.t.Logf("no screenshot: %v", err)
		return
	}
	tab.t.Logf("screenshot: %s", path)
}
