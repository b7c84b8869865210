package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Prepare has a script run in each page of the tab, and its frames, before any of theirs.
func (tab *Tab) Prepare(js string) {
	tab.t.Helper()
	tab.do("prepare the tab", func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: js})
		return none, err
	})
}

// WaitInFrame is WaitFor in the page's first frame. Its own scripts are not seen
// there, and its document is.
func (tab *Tab) WaitInFrame(expression, what string) {
	tab.t.Helper()
	holds := func(ctx context.Context) (holds bool, err error) {
		value, err := chromedp.Run(ctx, inFrame("Boolean("+expression+")"))
		if err != nil {
			return false, err
		}
		return holds, json.Unmarshal(value, &holds)
	}
	if err := tab.poll(holds, func() bool { return false }); err != nil {
		tab.t.Fatalf("waited %v for %s in the frame (%s): %v", stepTimeout, what, expression, err)
	}
}

var errNoFrame = errors.New("the page has no frame")

func inFrame(js string) chromedp.Action[[]byte] {
	return func(ctx context.Context, _ *chromedp.Target) ([]byte, error) {
		tree, err := chromedp.Call(ctx, page.GetFrameTree, cdp.Empty{})
		if err != nil {
			return nil, err
		}
		if len(tree.FrameTree.ChildFrames) == 0 {
			return nil, errNoFrame
		}
		world, err := chromedp.Call(ctx, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{
			FrameID: tree.FrameTree.ChildFrames[0].Frame.ID})
		if err != nil {
			return nil, err
		}
		yes := true
		result, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{
			Expression: js, ContextID: world.ExecutionContextID, ReturnByValue: &yes, AwaitPromise: &yes})
		if err != nil {
			return nil, err
		}
		if result.ExceptionDetails != nil {
			return nil, fmt.Errorf("exception: %s", result.ExceptionDetails.Text)
		}
		return result.Result.Value, nil
	}
}
