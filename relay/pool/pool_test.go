package pool

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Everything runs once, also what is started by what runs, and while the pool is closed.
func TestPoolRunsAll(t *testing.T) {
	var p Pool
	var ran atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				p.Go(func() {
					ran.Add(1)
					p.Go(func() { ran.Add(1) })
				})
			}
		})
	}
	wg.Wait()
	p.Close()
	if got := ran.Load(); got != 8000 {
		t.Error(got)
	}
}

// A goroutine stays for what comes next, and no more of them than maxIdle.
func TestPoolReuses(t *testing.T) {
	var p Pool
	defer p.Close()
	idle := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.idle)
	}
	begin, end := make(chan struct{}), make(chan struct{})
	for range 2 * maxIdle {
		p.Go(func() { begin <- struct{}{}; <-end })
	}
	for range 2 * maxIdle {
		<-begin
	}
	close(end)
	for idle() < maxIdle {
		runtime.Gosched()
	}
	done := make(chan struct{})
	for range 100 {
		p.Go(func() { done <- struct{}{} })
		<-done
	}
	if n := idle(); n > maxIdle || n < maxIdle-1 {
		t.Error(n)
	}
}

func deep(n int) byte {
	var b [256]byte
	b[n%256] = 1
	if n > 0 {
		return deep(n-1) + b[0]
	}
	return b[0]
}

// What a pool is for: work that takes 8 KB of stack.
func BenchmarkDeep(b *testing.B) {
	b.Run("pool", func(b *testing.B) {
		var p Pool
		defer p.Close()
		done := make(chan struct{})
		for b.Loop() {
			p.Go(func() { deep(20); done <- struct{}{} })
			<-done
		}
	})
	b.Run("go", func(b *testing.B) {
		done := make(chan struct{})
		for b.Loop() {
			go func() { deep(20); done <- struct{}{} }()
			<-done
		}
	})
}
