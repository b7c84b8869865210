package engine

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A handshake leaves behind three times what the connection keeps: net/http's buffers, headers, a
// grown stack. The collector would let that stand until the heap has doubled, and an idle relay does
// not allocate. So once the number of sessions has settled after a storm of them, what the storm
// left is given back at once.
//
// Of a page on which a connection keeps something, nothing can be given back. So garbage is collected sooner in a
// storm, while that is the most of what there is: what connections keep lies closer together then.
const (
	memoryCheckInterval = time.Second
	stormSessions       = 500 // that came or went
	stormGC             = 25  // GOGC in a storm, unless it is less anyway
)

// releaseMemory runs until done is closed.
func (srv *Server) releaseMemory(done <-chan struct{}) {
	tick := time.NewTicker(memoryCheckInterval)
	defer tick.Stop()
	released, before := 0, 0
	var pace collectorPace
	defer pace.hasten(false)
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		now := srv.Count()
		settled := abs(now-before) <= stormSessions/50
		before = now
		pace.hasten(!settled)
		if settled && abs(now-released) >= max(stormSessions, released/10) {
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

// collectorPace is how soon garbage is collected.
type collectorPace struct{ usual int } // GOGC, while it is another; else 0

// hasten has garbage collected sooner than usual, or not any more.
func (p *collectorPace) hasten(sooner bool) {
	switch {
	case sooner && p.usual == 0:
		if was := gcPercent(); was > stormGC {
			p.usual = debug.SetGCPercent(stormGC)
		}
	case !sooner && p.usual > 0:
		debug.SetGCPercent(p.usual)
		p.usual = 0
	}
}

// gcPercent returns GOGC as it is, negative if it is off.
func gcPercent() int {
	is := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(is)
	if is[0].Value.Kind() != metrics.KindUint64 {
		return -1
	}
	return int(is[0].Value.Uint64())
}
