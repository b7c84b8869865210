package relay

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"setu/relay/broker"
	"setu/relay/hook"
	"setu/relay/metrics"
)

// readHook reads the settings of hooks, and returns an error for each that is not what it takes. The errors
// hold no secret, nor what may be one by mistake. Without HOOK_URL it returns nil.
func (c Config) readHook() (out *hook.Config, wrong []error) {
	if c.HookURL == "" {
		return nil, nil
	}
	refuse := func(name string, got any, why error) {
		if why != nil {
			wrong = append(wrong, fmt.Errorf("%w (%w)", bad(name, got), why))
		}
	}
	out = &hook.Config{Network: c.HookNetwork, Timeout: c.HookTimeout, Concurrency: c.HookConcurrency, Queue: c.HookQueue,
		MaxAnswer: c.HookAnswerBytes, Transport: c.HookTransport, Metrics: c.Metrics}
	var err error
	if out.URL, err = hook.ParseURL(string(c.HookURL)); err != nil {
		refuse("HOOK_URL", address(string(c.HookURL)), err)
		return nil, wrong
	}
	if c.HookNetwork != hook.Any && hook.IsPrivate(out.URL) {
		refuse("HOOK_URL", address(string(c.HookURL)), errors.New("it is an address of the private network, or of this machine: that takes HOOK_NETWORK=any"))
	}
	refuse("HOOK_SECRET", hiddenText(len(c.HookSecret)), c.checkHookSecret(out.URL))
	if c.HookSecret != "" {
		out.Secrets, _ = hook.ParseSecrets(c.HookSecret)
	}
	out.Events, err = hook.ParseEvents(c.HookEvents)
	refuse("HOOK_EVENTS", c.HookEvents, err)
	out.Headers, err = hook.ParseHeaders(c.HookHeaders)
	refuse("HOOK_HEADERS", c.HookHeaders, err)
	return out, wrong
}

func (c Config) checkHookSecret(app *url.URL) error {
	if c.HookSecret != "" {
		_, err := hook.ParseSecrets(c.HookSecret)
		return err
	}
	if !hook.IsLocal(app) {
		return errors.New("whoever can reach the app could ask it: echo whsec_$(openssl rand -base64 32) prints one")
	}
	return nil
}

// openHooks returns what asks the app; nil if there is none.
func (c Config) openHooks(log *slog.Logger) (*hook.Sender, error) {
	h, _ := c.readHook() // check has read it
	if h == nil {
		return nil, nil
	}
	if h.URL.Scheme == "http" && !hook.IsPrivate(h.URL) {
		log.Warn("HOOK_URL is http: what the app is asked, and what it answers, can be read and changed on the way")
	}
	return hook.New(*h, log)
}

// keepOpening returns the headers that sessions keep of their handshakes, with the rest of those that the app
// is told; nil if it is not.
func (c Config) keepOpening() *[]string {
	h, _ := c.readHook()
	if h == nil || !h.Events.Has(metrics.HookConnect) {
		return nil
	}
	return &h.Headers
}

// claimBeyond is how long a relay has to note what came of a notice that it sent, beyond HOOK_TIMEOUT. Then
// another one sends it.
const claimBeyond = 8 * time.Second

// tellsPresence reports whether the app is told of presence.
func (c Config) tellsPresence() bool {
	return c.HookURL != "" && slices.Contains(c.HookEvents, string(metrics.HookPresence))
}

// newTeller returns what tells the app of presence, and what that sends by; or nothing if the app is not told.
func newTeller(cfg Config, b broker.Notices, log *slog.Logger) (*hook.Teller, *hook.Sender, error) {
	is, wrong := cfg.readHook()
	if !cfg.tellsPresence() || is == nil {
		return nil, nil, errors.Join(wrong...)
	}
	is.Lane, is.Queue = metrics.HookTold, 0
	s, err := hook.New(*is, log)
	if err != nil {
		return nil, nil, err
	}
	return hook.Tell(b, s, log), s, nil
}
