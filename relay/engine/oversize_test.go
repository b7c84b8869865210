package engine

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/wiretest"
)

// fragmented returns a message in frames of at most size bytes.
func fragmented(first byte, message []byte, size int) (b []byte) {
	for part := range slices.Chunk(message, size) {
		b = append(b, wiretest.ClientFrame(first, part)...)
		first = wiretest.OpContinue
	}
	return append(b, wiretest.ClientFrame(0x80|wiretest.OpContinue, nil)...)
}

// A message that is too large is read past, up to a multiple of the limit, and the next one is read
// as ever.
func TestReadPast(t *testing.T) {
	const most = 2000
	for _, size := range []int{most - 1, most, most + 1, 3 * most, OversizeFactor * most, OversizeFactor*most + 1} {
		for _, binary := range []bool{false, true} {
			message := append([]byte("4abc"), bytes.Repeat([]byte("x"), size-4)...)
			first, text := byte(wiretest.OpText), string(message[1:])
			if binary {
				first, text = wiretest.OpBinary, string(message)
			}
			if size > most {
				text = fmt.Sprintf("%d bytes: %s", size, text[:3])
			}
			for name, send := range map[string][]byte{"a frame": wiretest.ClientFrame(0x80|first, message),
				"fragments": fragmented(first, message, 300)} {
				t.Run(fmt.Sprint(size, " ", binary, " ", name), func(t *testing.T) {
					overPipes(t, tapes(func(*Session, []byte, bool) error { return nil }), func(t *testing.T, r *rig) {
						p := r.greeted()
						h := r.only().handler.(*tape)
						go func() { _, _ = p.Conn.Write(slices.Concat(send, wiretest.ClientFrame(0x81, []byte("4next")))) }()
						if size > OversizeFactor*most {
							if code, _ := p.Closed(); code != closeTooLarge || len(h.all()) > 0 || !r.log.Has("level=WARN") {
								t.Errorf("closed with %d, heard %.40q", code, h.all())
							}
							return
						}
						synctest.Wait()
						if !slices.Equal(h.all(), []string{text, "next"}) {
							t.Errorf("heard %.40q", h.all())
						}
					}, fmt.Sprint("MAX_PAYLOAD=", most))
				})
			}
		}
	}
}

// The head of a message is all that is kept of it.
func TestReadPastKeepsTheHead(t *testing.T) {
	for _, most := range []int{100, 2000} {
		overPipes(t, tapes(nil), func(t *testing.T, r *rig) {
			h := &heads{}
			p := r.greeted()
			r.only().handler = h
			p.Write(wiretest.ClientFrame(0x82, make([]byte, 8*most)))
			synctest.Wait()
			if want := min(headBytes, most+1); len(h.head) != want || cap(h.head) > 2*want || h.size != 8*most {
				t.Errorf("%d bytes of %d, room for %d; want %d", len(h.head), h.size, cap(h.head), want)
			}
		}, fmt.Sprint("MAX_PAYLOAD=", most))
	}
}

type heads struct {
	tape
	head []byte
	size int
}

func (h *heads) TooLarge(head []byte, size int, _ bool) error {
	h.head, h.size = head, size
	return nil
}

// Packets other than messages end the session if they are too large.
func TestReadPastOfOtherPackets(t *testing.T) {
	for _, first := range []string{"0", "1", "2", "3", "5", "6", "7", "x"} {
		overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
			p := r.greeted()
			p.Text(first + string(make([]byte, 3000)))
			if code, _ := p.Closed(); code != closeTooLarge {
				t.Errorf("%q: closed with %d", first, code)
			}
		}, "MAX_PAYLOAD=2000")
	}
}

// A message that does not end has the time of a heartbeat, however much of it may come.
func TestReadPastTakesNoLonger(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.greeted()
		start := time.Now()
		var writing sync.WaitGroup
		defer writing.Wait()
		writing.Go(func() {
			_, err := p.Conn.Write(wiretest.ClientFrame(0x81, make([]byte, 15_000))[:2100])
			for err == nil {
				<-time.After(time.Second)
				_, err = p.Conn.Write([]byte("x"))
			}
		})
		p.EOF()
		if took := time.Since(start); took != 45*time.Second {
			t.Errorf("ended after %s", took)
		}
	}, "MAX_PAYLOAD=2000")
}

// The first message behind an upgrade is like any other.
func TestReadPastBehindAnUpgrade(t *testing.T) {
	overPipes(t, tapes(echo), func(t *testing.T, r *rig) {
		p := r.Poll()
		k := r.Probe(p)
		k.Text("5", "4"+string(bytes.Repeat([]byte("x"), 3000)), "4next")
		k.Expect("43001 bytes: xxx")
		k.Expect("4next")
	}, "MAX_PAYLOAD=2000")
}
