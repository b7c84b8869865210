package relay

import (
	"runtime/debug"
	"time"
)

// A handshake leaves behind three times what the connection keeps: net/http's buffers, headers, a grown stack. The collector
// would let that stand until the heap has doubled, and an idle relay does not allocate: so when the number of connections has
// settled after a storm, what it left is given back at once.
const (
	tidyEvery = time.Second
	tidyStorm = 500 // connections that came or went
)

// tidy runs until done is closed.
func (e *Engine) tidy(done <-chan struct{}) {
	defer e.wg.Done()
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	tidied, before := 0, 0
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		now := e.count()
		settled := abs(now-before) <= tidyStorm/50
		before = now
		if settled && abs(now-tidied) >= max(tidyStorm, tidied/10) {
			debug.FreeOSMemory()
			tidied = now
		}
	}
}

func abs(n int) int { return max(n, -n) }
