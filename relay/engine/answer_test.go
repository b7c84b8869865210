package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/engineio"
	"setu/relay/wiretest"
)

// packetsOf returns how many packets an answer brings.
func packetsOf(got wiretest.Reply) int { return strings.Count(got.Body, "\x1e") + 1 }

// python-engineio drops an answer of more than 16 packets. A frame's packets stay together, and
// what an answer took counts until the next GET.
func TestPacketsOfOneAnswer(t *testing.T) {
	tests := []struct {
		name   string
		frames []int // how many packets each has
		want   []int // how many each answer brings
	}{
		{"as many as it may", repeat(1, 16), []int{16}},
		{"one more", repeat(1, 17), []int{16, 1}},
		{"many", repeat(1, 40), []int{16, 16, 8}},
		{"with attachments", repeat(11, 3), []int{11, 11, 11}},
		{"that fit by twos", repeat(8, 5), []int{16, 16, 8}},
		{"a frame that fits no more", append(repeat(1, 13), 4, 4, 1), []int{13, 9}},
		{"more in one frame", []int{1, 20, 1}, []int{1, 20, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
				p := r.Poll()
				s := r.only()
				var sizes []int
				counts, next := 0, 0 // bytes that count, and the frame that comes next
				for _, n := range tt.frames {
					f := engineio.NewFrame(2, func(dst []byte) []byte { return append(dst, "4x"...) }, make([][]byte, n-1)...)
					counts += f.Size()
					sizes = append(sizes, f.Size())
					s.Send(f)
				}
				for i, want := range tt.want {
					taken := 0
					got := p.Get()
					if got.Status != 200 || packetsOf(got) != want {
						t.Fatalf("answer %d: %d, %d packets, want %d", i, got.Status, packetsOf(got), want)
					}
					if bytes := bytesOf(s); bytes != counts {
						t.Errorf("after answer %d %d bytes count, want %d", i, bytes, counts)
					}
					for ; want > 0; next++ {
						want -= tt.frames[next]
						taken += sizes[next]
					}
					counts -= taken // at the next GET
				}
				waits := p.Waiting()
				if bytes := bytesOf(s); bytes != 0 || counts != 0 {
					t.Errorf("%d bytes count in the end", bytes)
				}
				p.Say("1")
				(<-waits).Is(t, 200, "6")
			})
		})
	}
}

func repeat(n, times int) []int {
	out := make([]int, times)
	for i := range out {
		out[i] = n
	}
	return out
}

func bytesOf(s *Session) int {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return s.out.bytes
}

// What was queued when a session ended comes in as many answers as it takes, as long as the client
// asks for them, and the last of them says that it has ended.
func TestAnswersAfterTheEnd(t *testing.T) {
	ended := func(r *rig, n int) (*wiretest.Poller, *tape) {
		p := r.Poll()
		h := r.only().handler.(*tape)
		p.Say(strings.Repeat("4x\x1e", n) + "1")
		return p, h
	}
	for n, want := range map[int][]int{14: {15}, 15: {16}, 16: {15, 2}, 40: {15, 15, 11}} {
		for _, pause := range []time.Duration{0, lateGetTimeout - time.Millisecond} {
			t.Run(fmt.Sprint(n, " ", pause), func(t *testing.T) {
				overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
					p, h := ended(r, n)
					for i, packets := range want {
						<-time.After(pause)
						got := p.Get()
						if last := i == len(want)-1; packetsOf(got) != packets || strings.HasSuffix(got.Body, "6") != last {
							t.Errorf("answer %d: %q", i, got.Body)
						}
					}
					synctest.Wait()
					p.Get().Is(t, 400, wiretest.UnknownSID)
					if n := r.srv.Count(); n != 0 || h.stopped() != 1 || h.closed() != 1 {
						t.Errorf("%d sessions are left; stopped %d times, closed %d times", n, h.stopped(), h.closed())
					}
				})
			})
		}
	}
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) { // one that does not ask again
		p, _ := ended(r, 40)
		if got := p.Get(); packetsOf(got) != 15 {
			t.Error(got)
		}
		<-time.After(lateGetTimeout + time.Millisecond)
		p.Get().Is(t, 400, wiretest.UnknownSID)
		if n := r.srv.Count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) { // one that takes for ever
		p, _ := ended(r, 1000)
		start := time.Now()
		for p.Get().Status == 200 {
			<-time.After(lateGetTimeout / 2)
		}
		if took := time.Since(start); took < closeTimeout || took > closeTimeout+lateGetTimeout/2 {
			t.Errorf("the session stood for %s", took)
		}
	})
}

// A drain gives several answers the time of one.
func TestDrainOfPollersWithMuch(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		quick, slow := r.Poll(), r.Poll()
		for _, p := range []*wiretest.Poller{quick, slow} {
			p.Say(strings.Repeat("4x\x1e", 39) + "4x")
		}
		start := time.Now()
		over := make(chan time.Duration)
		go func() {
			_, _ = r.srv.Shutdown(context.Background())
			over <- time.Since(start)
		}()
		synctest.Wait()
		<-time.After(2 * maxSpread)
		for _, want := range []int{15, 15, 11} {
			if got := quick.Get(); packetsOf(got) != want {
				t.Errorf("%d packets, want %d", packetsOf(got), want)
			}
		}
		for slow.Get().Status == 200 {
			<-time.After(drainTimeout / 2)
		}
		if took := <-over; took > drainTimeout+maxSpread {
			t.Errorf("the drain took %s", took)
		}
	})
}
