package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/chromedp/chromedp"
)

// Screenshot keeps what the tab shows as NAME.png with the artifacts
// ($SETU_E2E_ARTIFACTS, or e2e/artifacts), and returns the file's path.
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
	directory, err := artifacts()
	if err != nil {
		return "", err
	}
	path := filepath.Join(directory, fileName(name)+".png")
	return path, os.WriteFile(path, png, 0o644)
}

// artifacts is the directory for what tests leave behind; it makes it.
func artifacts() (string, error) {
	directory := os.Getenv("SETU_E2E_ARTIFACTS")
	if directory == "" {
		root, err := moduleRoot()
		if err != nil {
			return "", err
		}
		directory = filepath.Join(root, "e2e", "artifacts")
	}
	return directory, os.MkdirAll(directory, 0o755)
}

// moduleRoot is where go.mod is: tests run in the directory of their package.
func moduleRoot() (string, error) {
	directory, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(directory, "go.mod")); err == nil {
			return directory, nil
		}
		parent := filepath.Dir(directory)
		if parent == directory {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		directory = parent
	}
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
