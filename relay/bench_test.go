package relay

import (
	"bufio"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

// cpu returns the processor time that this process has used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// unlimited are settings for many clients of one address.
var unlimited = []string{"MAX_ADDRESS_CONNECTIONS=0", "MAX_UNCONNECTED=0", "HANDSHAKE_RATE=off", "HANDSHAKES_RATE=off"}

// crowd lets n clients join a room over TCP. Each reads until its end; heard counts the frames that
// end in a newline.
func crowd(b *testing.B, r *rig, n int) (heard *sync.WaitGroup) {
	heard = &sync.WaitGroup{}
	for i := range n {
		p := r.member(fmt.Sprint(i), "room")
		go func() {
			in := bufio.NewReaderSize(p.Conn, 4096)
			for {
				if _, err := in.ReadSlice('\n'); err == nil || err == bufio.ErrBufferFull { // the data holds one newline
					if err == nil {
						heard.Done()
					}
					continue
				}
				return
			}
		}()
	}
	return heard
}

// BenchmarkFanOut measures one message to 1,000 members over loopback, with what the clients cost.
// In a burst twenty messages are under way at once.
func BenchmarkFanOut(b *testing.B) {
	const members = 1000
	for _, burst := range []int{1, 20} {
		b.Run(fmt.Sprint("burst=", burst), func(b *testing.B) {
			r := overTCP(b, unlimited...)
			heard := crowd(b, r, members)
			body := `"id":"m","from":{"id":"u","name":"U","guest":true},"data":"` + strings.Repeat("x", 100) + "\n\""
			b.ReportAllocs()
			start := cpu()
			for i := 0; b.Loop(); i++ {
				heard.Add(members * burst)
				for j := range burst {
					r.broker.Publish(b.Context(), broker.Publication{Room: "room", User: "u", ID: fmt.Sprint(i, "-", j), Body: body})
				}
				heard.Wait()
			}
			b.ReportMetric(float64((cpu()-start).Nanoseconds())/float64(b.N*members*burst), "cpu-ns/delivery")
		})
	}
}

// BenchmarkJoin measures a connection from dial to the answer to its join, and its end, with the
// client's part.
func BenchmarkJoin(b *testing.B) {
	r := overTCP(b, unlimited...)
	stay := r.member("stay", "room")
	for range 20 {
		stay.Call("publish", `{"room":"room","data":"`+strings.Repeat("x", 100)+`"}`)
	}
	b.ReportAllocs()
	start := cpu()
	for b.Loop() {
		p := wiretest.Upgrade(b, r.New())
		p.Connect(`{"name":"a"}`)
		p.Call("join", `{"room":"room","history":20}`)
		_ = p.Conn.Close()
	}
	b.ReportMetric(float64((cpu()-start).Microseconds())/float64(b.N), "cpu-us/op")
}

// BenchmarkPublish measures a publish, from the client's write to the answer and the message that comes back, with the client's
// part. The store is in memory.
func BenchmarkPublish(b *testing.B) {
	r := overTCP(b, append(unlimited, "PUBLISH_RATE=off", "USER_PUBLISH_RATE=off", "BYTES_RATE=off")...)
	p := r.member("a", "room")
	body := `{"room":"room","data":"` + strings.Repeat("x", 100) + `"}`
	benchCalls(b, p, "publish", body)
}

func benchCalls(b *testing.B, p *wiretest.Peer, event, arg string) {
	b.ReportAllocs()
	start := cpu()
	for b.Loop() {
		p.Call(event, arg)
		p.Held = nil // its own message
	}
	b.ReportMetric(float64((cpu()-start).Microseconds())/float64(b.N), "cpu-us/op")
}

// BenchmarkPublishEvent is BenchmarkPublish of a named event, and of one that its client emits by itself.
func BenchmarkPublishEvent(b *testing.B) {
	r := overTCP(b, append(unlimited, "PUBLISH_RATE=off", "USER_PUBLISH_RATE=off", "BYTES_RATE=off", "LOBBY=room", "LOBBY_EVENTS=chat message")...)
	text := `"` + strings.Repeat("x", 100) + `"`
	for event, arg := range map[string]string{"publish": `{"room":"room","event":"chat message","args":[` + text + `]}`, "chat message": text} {
		b.Run(event, func(b *testing.B) {
			p := r.guest("a")
			defer p.Conn.Close()
			benchCalls(b, p, event, arg)
		})
	}
}

// memory returns the bytes that this process holds, in heap and stacks.
func memory() (heap, stack uint64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.StackInuse
}

// bare returns what both ends of n connections cost without a relay, in bytes of heap.
func bare(b *testing.B, n int) uint64 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	before, _ := memory()
	for range n {
		c, err1 := net.Dial("tcp", l.Addr().String())
		s, err2 := l.Accept()
		if err1 != nil || err2 != nil {
			b.Fatal(err1, err2)
		}
		defer c.Close()
		defer s.Close()
	}
	after, _ := memory()
	return after - before
}

// idle measures what n clients take that are in a room and silent, less what the clients' ends
// take.
func idle(b *testing.B, n int, connect func(r *rig, name string) net.Conn) {
	for b.Loop() {
		r := overTCP(b)
		heap0, stack0 := memory()
		conns := make([]net.Conn, n)
		for i := range conns {
			conns[i] = connect(r, fmt.Sprint(i))
		}
		heap1, stack1 := memory()
		b.ReportMetric((float64(heap1-heap0)-float64(bare(b, n)))/float64(n), "heap-B/conn")
		b.ReportMetric(float64(stack1-stack0)/float64(n), "stack-B/conn")
		for _, c := range conns {
			_ = c.Close()
		}
	}
}

// BenchmarkIdle measures the memory of a client by WebSocket.
func BenchmarkIdle(b *testing.B) {
	idle(b, 500, func(r *rig, name string) net.Conn {
		p := r.member(name, "room")
		p.Reader.Reset(strings.NewReader(""))
		return p.Conn
	})
}

// BenchmarkIdlePolling measures the memory of a client that polls, and has a GET waiting.
func BenchmarkIdlePolling(b *testing.B) {
	idle(b, 500, func(r *rig, name string) net.Conn {
		p := r.pollingMember(name, "room")
		p.Web.CloseIdleConnections()
		c := r.Dial()
		fmt.Fprintf(c, "GET %s?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: relay\r\n\r\n", Path, p.SID)
		return c
	})
}
