package browser

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/chromedp"
)

// Message is what a page said: a call of the console, an uncaught exception, or
// an entry of the browser's own log (a refused resource, a failed request).
type Message = chromedp.ConsoleMessage

// barrier marks the console's present end; see Console.
const barrier = "setu-e2e barrier "

// console collects a page's messages as they come.
type console struct {
	done chan struct{} // closed when the tab is gone

	mu       sync.Mutex
	messages []Message
	barriers map[string]chan struct{}
}

func listen(ctx context.Context) *console {
	c := &console{done: make(chan struct{}), barriers: map[string]chan struct{}{}}
	messages := chromedp.Console(ctx)
	go func() {
		defer close(c.done)
		for message, err := range messages {
			if err != nil {
				return
			}
			c.add(message)
		}
	}()
	return c
}

func (c *console) add(message Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if passed, is := c.barriers[message.Text]; is {
		close(passed)
		delete(c.barriers, message.Text)
		return
	}
	c.messages = append(c.messages, message)
}

func (c *console) wait() { <-c.done }

func (c *console) soFar() []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Message(nil), c.messages...)
}

// forget drops what was said after the first n messages.
func (c *console) forget(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages = c.messages[:n]
}

// Console returns all that the tab has said until now, over all its pages.
func (tab *Tab) Console() []Message {
	tab.t.Helper()
	// Messages come by a road of their own; this one overtakes none of them.
	passed := make(chan struct{})
	tab.console.mu.Lock()
	text := fmt.Sprintf("%s%p", barrier, passed)
	tab.console.barriers[text] = passed
	tab.console.mu.Unlock()
	ctx, cancel := context.WithTimeout(tab.ctx, stepTimeout)
	defer cancel()
	if err := tab.eval(ctx, fmt.Sprintf("console.debug(%q)", text), nil); err != nil {
		tab.t.Fatalf("read the console: %v", err)
	}
	select {
	case <-passed:
	case <-ctx.Done():
		tab.t.Fatalf("read the console: %v", ctx.Err())
	}
	return tab.console.soFar()
}

// Errors returns those of its messages that a healthy page never has:
// exceptions, errors, and what the Content-Security-Policy refused. Messages
// that contain one of the allowed texts are left out, and so is what the
// machine's own network does.
func (tab *Tab) Errors(allowed ...string) []Message {
	tab.t.Helper()
	said := tab.Console()
	allowed = append(slices.Clip(allowed), networkChanged)
	if slices.ContainsFunc(said, func(m Message) bool { return strings.Contains(m.Text, networkChanged) }) {
		allowed = append(allowed, workerLost)
	}
	var errors []Message
	for _, message := range said {
		if isError(message) && !containsAny(message.Text, allowed) {
			errors = append(errors, message)
		}
	}
	return errors
}

// workerLost is what Chromium says besides networkChanged if it was a service worker's script that it lost.
const workerLost = "An unknown error occurred when fetching the script."

func isError(message Message) bool {
	return message.IsException() || message.Type == chromedp.ConsoleError ||
		strings.Contains(message.Text, "Content Security Policy")
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
