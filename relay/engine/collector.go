package engine

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// Go's collector lets the heap grow by GOGC percent, 100, of what lives in it. That is a lot where much lives, and very
// little in a relay with few clients: at 8 MiB hundreds of clients that flood have it collect several times a second, and
// for 5 to 10 ms each time whoever wants one of few processors waits. So the heap may have leastHeap in any case.
//
// Of a page on which a connection keeps something, nothing can be given back. So garbage is collected sooner in a
// storm of sessions, while that is the most of what there is: what connections keep lies closer together then. What is
// spread through stormHeap is little beside what thousands of them keep.
//
// Where GOGC is set to something else, all this is left to whoever has set it.
const (
	leastHeap = 64 << 20 // bytes
	defaultGC = 100      // GOGC if nobody has set it
	stormGC   = 25       // the same, in a storm
	stormHeap = 12 << 20 // bytes: what may be garbage then in any case
	smallHeap = 4 << 20  // bytes: with a GOGC of 100 Go's collector takes no heap for less
)

// collector is the pace of this process.
var collector collectorPace

// collectorPace is how soon garbage is collected, while there are servers.
type collectorPace struct {
	mu      sync.Mutex // guards what follows
	servers int
	storms  int  // servers that have one
	current int  // GOGC as it is; 0: it is somebody else's
	watched bool // after the next collection the pace is looked at
}

// enter begins a server's share in the pace, which leave ends.
func (p *collectorPace) enter() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.servers++; p.servers > 1 {
		return
	}
	if p.current = 0; gcPercent() == defaultGC {
		p.current = defaultGC
	}
	p.adjust()
	p.watch()
}

func (p *collectorPace) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.servers--; p.servers == 0 && p.current > 0 {
		debug.SetGCPercent(defaultGC)
	}
}

// storm says that a server's sessions have begun to come in a storm, or do so no more.
func (p *collectorPace) storm(comes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if comes {
		p.storms++
	} else {
		p.storms--
	}
	p.adjust()
}

// adjust sets GOGC if it is far from what it should be: that stops everything for a moment. p.mu is held.
func (p *collectorPace) adjust() {
	if p.servers == 0 || p.current == 0 {
		return
	}
	want := percent(p.storms > 0, liveHeap())
	if abs(want-p.current) > p.current/8 {
		p.current = want
		debug.SetGCPercent(want)
	}
}

// percent returns the GOGC that is right while there are so many bytes that live.
func percent(storm bool, live uint64) int {
	live = max(live, smallHeap)
	if storm {
		return max(stormGC, int(100*stormHeap/live))
	}
	if live >= leastHeap {
		return defaultGC
	}
	return max(defaultGC, int(100*(leastHeap-live)/live))
}

// watch has the pace looked at after each collection, which finds a marker that nothing refers to. p.mu is held.
func (p *collectorPace) watch() {
	if p.watched || p.current == 0 {
		return
	}
	p.watched = true
	type marker struct{ _ [4]uintptr } // too large to share its place with what lives longer
	runtime.AddCleanup(new(marker), (*collectorPace).collected, p)
}

// collected is called when garbage has been collected.
func (p *collectorPace) collected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watched = false
	if p.servers > 0 {
		p.adjust()
		p.watch()
	}
}

// gcPercent returns GOGC as it is, negative if it is off.
func gcPercent() int { return int(measured("/gc/gogc:percent")) }

// liveHeap returns how many bytes of the heap the last collection has left.
func liveHeap() uint64 { return measured("/gc/heap/live:bytes") }

func measured(name string) uint64 {
	is := []metrics.Sample{{Name: name}}
	metrics.Read(is)
	return is[0].Value.Uint64()
}
