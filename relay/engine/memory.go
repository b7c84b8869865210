package engine

import (
	"runtime/debug"
	"time"
)

// A handshake leaves behind three times what the connection keeps: net/http's buffers, headers, a
// grown stack. The collector would let that stand until the heap has doubled, and an idle relay does
// not allocate. So once the number of sessions has settled after a storm of them, what the storm
// left is given back at once.
const (
	memoryCheckInterval = 250 * time.Millisecond
	stormSessions       = 2000 // that came or went: fewer leave little, and giving it back holds up everybody
	stormRate           = 250  // sessions that come between two looks: more than one address can open
	calmRate            = 10   // that come or go between two looks, at most, when a storm is over
	calmChecks          = 4    // looks in a row
)

// tendMemory runs until the last session is gone.
func (srv *Server) tendMemory() {
	collector.enter()
	defer collector.leave()
	srv.releaseMemory(srv.gone, collector.storm)
}

// releaseMemory runs until done is closed. It says when a storm comes, and when that is over.
func (srv *Server) releaseMemory(done <-chan struct{}, storm func(comes bool)) {
	tick := time.NewTicker(memoryCheckInterval)
	defer tick.Stop()
	released, before, calm := 0, 0, 0
	stormy := false
	defer func() {
		if stormy {
			storm(false)
		}
	}()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		now := srv.Count()
		came := now - before
		before = now
		if calm++; abs(came) > calmRate {
			calm = 0
		}
		if comes := came >= stormRate || stormy && calm < calmChecks; comes != stormy {
			stormy = comes
			storm(comes)
		}
		if calm >= calmChecks && abs(now-released) >= max(stormSessions, released/10) {
			srv.tidy()
			debug.FreeOSMemory()
			released = now
		}
	}
}

// tidy has all sessions let go of what they can do without.
func (srv *Server) tidy() {
	now := time.Now()
	for _, s := range srv.all() {
		s.allowance.Tidy(now)
	}
}

func abs(n int) int { return max(n, -n) }
