package e2e_test

import "time"

// patience bounds what a story waits for. Generous, since machines that run
// tests are shared.
const patience = 40 * time.Second

// newPace is how fast people talk: enough that every fault meets messages on
// their way, and little enough that what is missed meanwhile is still kept.
func newPace() *time.Ticker { return time.NewTicker(20 * time.Millisecond) }
