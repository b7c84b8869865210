package engine

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestPercent(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		storm bool
		live  uint64
		want  int
	}{
		{false, 0, 1500}, // as for smallHeap: more would let the first collection wait too long
		{false, smallHeap, 1500},
		{false, 8 * mib, 700},
		{false, 32 * mib, 100},
		{false, 48 * mib, 100},
		{false, math.MaxInt64, 100},
		{true, 0, 300},
		{true, 8 * mib, 150},
		{true, 48 * mib, stormGC},
		{true, math.MaxInt64, stormGC},
	} {
		if got := percent(c.storm, c.live); got != c.want {
			t.Errorf("percent(%v, %d MiB) is %d instead of %d", c.storm, c.live/mib, got, c.want)
		}
	}
}

// As long as there is a server the heap may grow to leastHeap, whatever lives in it, and then as ever.
func TestCollectorLetsSmallHeapsGrow(t *testing.T) {
	usual := gcPercent()
	defer debug.SetGCPercent(usual)
	debug.SetGCPercent(100)
	var p collectorPace
	var live []byte
	awaits := func(want int) {
		t.Helper()
		for range 400 {
			runtime.GC()
			if got := gcPercent(); got >= want*3/4 && got <= want*4/3 {
				return
			}
			<-time.After(5 * time.Millisecond)
		}
		t.Errorf("GOGC is %d instead of %d with %d MiB", gcPercent(), want, liveHeap()>>20)
	}
	p.enter()
	p.enter()
	awaits(percent(false, liveHeap()))
	live = make([]byte, 100<<20)
	awaits(100)
	p.storm(true)
	awaits(stormGC)
	p.storm(false)
	awaits(100)
	runtime.KeepAlive(live)
	live = nil
	p.leave()
	runtime.GC()
	awaits(percent(false, liveHeap()))
	p.leave()
	awaits(100)
}

// Who has set GOGC, or turned the collector off, is taken at his word.
func TestCollectorLeavesGOGC(t *testing.T) {
	usual := gcPercent()
	defer debug.SetGCPercent(usual)
	check := func(set int) {
		t.Helper()
		var p collectorPace
		p.enter()
		defer p.leave()
		p.storm(true)
		runtime.GC()
		<-time.After(20 * time.Millisecond)
		if got := gcPercent(); got != set {
			t.Errorf("GOGC is %d instead of %d", got, set)
		}
		p.storm(false)
	}
	debug.SetGCPercent(-1)
	check(-1)
	debug.SetGCPercent(77)
	check(77)
}
