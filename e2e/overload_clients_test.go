package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"setu/e2e/cluster"
	"setu/e2e/nemesis"
	"setu/e2e/swarm"
)

const (
	readers      = 1000
	readMessages = 50                    // while all read
	slowMessages = 100                   // while somebody does not
	bulkBytes    = 75_000                // of as many more, which the slow one alone is to hear: 7.5 MB are more than the kernel and the outbox take
	slowPace     = 30 * time.Millisecond // between two messages
	slowMost     = 5 * time.Second       // p99 of a message's way to those who read, on a machine that is shared; it is told
)

// reader is one of a room, and measures how long messages take.
type reader struct {
	*swarm.Client
	room   string
	last   uint64
	bulked uint64          // messages of another room
	took   []time.Duration // by message
	fault  error
}

// One among a thousand stops reading: it is closed, and comes back with all that it has missed. The
// others don't notice.
func TestSlowReaderAmongThousand(t *testing.T) {
	l := startLoaded(t)
	relay := l.relay("dublin", "OUTBOX_BYTES=262144", "HISTORY_LIMIT=1000")
	l.inTime(2*patience, relay)
	epoch, total := time.Now(), uint64(readMessages+slowMessages)
	s := &speaker{Client: l.dial(relay, "speaker", "lobby", swarm.Options{}), l: l}
	slow := &reader{Client: l.dial(relay, "slow", "lobby", swarm.Options{ReceiveBuffer: 64 << 10}), room: "lobby"}
	for _, c := range []*swarm.Client{s.Client, slow.Client} {
		if err := c.Join("bulk"); err != nil {
			t.Fatal(err)
		}
	}
	var all []*reader
	var wg sync.WaitGroup
	for i := range readers - 1 {
		r := &reader{Client: l.dial(relay, fmt.Sprint("reader-", i), "lobby", swarm.Options{}), room: "lobby"}
		all = append(all, r)
		wg.Go(func() { r.fault = r.listen(epoch, total) })
	}

	pace := time.NewTicker(slowPace)
	defer pace.Stop()
	say := func() {
		s.said("lobby", fmt.Sprintf(`{"sent":%d}`, time.Since(epoch)))
		<-pace.C
	}
	reads := make(chan error, 1)
	go func() { reads <- slow.listen(epoch, readMessages) }()
	for range readMessages {
		say()
	}
	if err := <-reads; err != nil {
		t.Fatal(err)
	}
	padding := fmt.Sprintf("%q", strings.Repeat("x", bulkBytes))
	for range slowMessages { // which it does not read
		s.said("bulk", padding)
		say()
	}
	wg.Wait()
	slow.fault = slow.listen(epoch, total) // what was on its way
	if slow.fault == nil {
		t.Error("the slow one was not closed")
	}
	slow.comesBack(t, relay, total)
	judgeReaders(t, all)
	l.staysSmall(relay)
}

// comesBack has it come back with its session, to all that it has missed.
func (r *reader) comesBack(t *testing.T, relay *nemesis.Relay, total uint64) {
	t.Helper()
	auth := authOf("slow")
	auth.PID, auth.Offset = r.PID, r.Offset
	again, err := swarm.Dial(relay.Address(), auth, swarm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for _, missed := range again.Replayed {
		if missed.Room != r.room {
			r.bulk(missed.Seq)
		} else if r.last++; missed.Seq != r.last {
			t.Fatalf("the slow one came back to %d instead of %d", missed.Seq, r.last)
		}
	}
	if again.Session != r.Session || r.last != total || r.bulked != slowMessages {
		t.Errorf("the slow one came back to %d of %d, and %d of %d", r.last, total, r.bulked, slowMessages)
	}
	t.Logf("the slow one: %v; it came back to %d messages", r.fault, len(again.Replayed))
}

// listen hears all messages up to one.
func (r *reader) listen(epoch time.Time, upTo uint64) error {
	for r.last < upTo {
		packet, err := r.Next()
		if err != nil {
			return fmt.Errorf("after %d of %d: %w", r.last, upTo, err)
		}
		if !swarm.IsMessage(packet) {
			continue
		}
		seq := swarm.Seq(packet)
		if swarm.Room(packet) != r.room {
			r.bulk(seq)
			continue
		}
		if seq != r.last+1 {
			return fmt.Errorf("heard %d after %d", seq, r.last)
		}
		r.last++
		r.took = append(r.took, time.Since(epoch)-time.Duration(swarm.Number(packet, `"sent":`)))
	}
	return nil
}

// bulk counts messages of the other room, as long as they come in order.
func (r *reader) bulk(seq uint64) {
	if seq == r.bulked+1 {
		r.bulked++
	}
}

// judgeReaders compares the time before and after somebody stopped reading.
func judgeReaders(t *testing.T, all []*reader) {
	t.Helper()
	var before, after []time.Duration
	for i, r := range all {
		if r.fault != nil {
			t.Errorf("reader %d: %v", i, r.fault)
			continue
		}
		before = append(before, r.took[:readMessages]...)
		after = append(after, r.took[readMessages:readMessages+slowMessages]...)
	}
	_, words := quantiles(before)
	t.Logf("all read: %s", words)
	_, words = quantiles(after)
	t.Logf("one does not: %s", words)
	if len(after) == 0 || after[len(after)*99/100] > slowMost {
		t.Errorf("the healthy ones' p99 is more than %v", slowMost)
	}
}

const (
	places  = 50
	turned  = 200              // away at a time
	chatted = 30               // messages meanwhile
	seconds = 15 * time.Second // that those inside may wait for a message
)

// MAX_CONNECTIONS are inside: others get 503, over both transports, and those inside notice nothing.
// Who goes makes room for one more.
func TestFullRelayTurnsAway(t *testing.T) {
	l := startLoaded(t)
	relay := l.relay("dublin", fmt.Sprint("MAX_CONNECTIONS=", places))
	l.inTime(2*patience, relay)
	epoch := time.Now()
	s := &speaker{Client: l.dial(relay, "speaker", "lobby", swarm.Options{}), l: l}
	var inside []*reader
	var hear, knock sync.WaitGroup
	for i := range places - 1 {
		r := &reader{Client: l.dial(relay, fmt.Sprint("inside-", i), "lobby", swarm.Options{}), room: "lobby"}
		inside = append(inside, r)
		hear.Go(func() { r.fault = r.listen(epoch, chatted) })
	}

	var refused atomic.Int64
	for i := range turned {
		knock.Go(func() {
			if status := knockAt(relay.Address(), i); status == http.StatusServiceUnavailable {
				refused.Add(1)
			} else {
				t.Errorf("number %d is answered %d", i, status)
			}
		})
	}
	for range chatted {
		s.said("lobby", fmt.Sprintf(`{"sent":%d}`, time.Since(epoch)))
	}
	knock.Wait()
	hear.Wait()
	var took []time.Duration
	for i, r := range inside {
		if r.fault != nil {
			t.Errorf("inside %d: %v", i, r.fault)
		}
		took = append(took, r.took...)
	}
	_, words := quantiles(took)
	t.Logf("%d refused; inside %s", refused.Load(), words)
	if took[len(took)-1] > seconds {
		t.Errorf("a message took more than %v", seconds)
	}
	if said := strings.Count(relay.Log(), "MAX_CONNECTIONS are connected"); said < 1 || said > 10 {
		t.Errorf("the log says %d times that the relay is full", said)
	}
	if status := relay.Status(); status != http.StatusOK {
		t.Errorf("a full relay answers /readyz with %d", status)
	}

	inside[0].Close()
	cluster.Eventually(t, patience, "there is room for one", func() error {
		c, err := swarm.Dial(relay.Address(), authOf("late"), swarm.Options{})
		if err == nil {
			t.Cleanup(c.Close)
			err = c.Join("lobby")
		}
		return err
	})
	if status := knockAt(relay.Address(), 0); status != http.StatusServiceUnavailable {
		t.Errorf("one more is answered %d", status)
	}
	l.staysSmall(relay)
}

// knockAt tries to get in, by polling or by WebSocket, and returns the status.
func knockAt(address string, i int) int {
	if i%2 == 0 {
		c, err := swarm.Dial(address, authOf("outside"), swarm.Options{})
		if err == nil {
			c.Close()
			return http.StatusSwitchingProtocols
		}
		var refused swarm.Refused
		errors.As(err, &refused)
		return int(refused)
	}
	request, err := http.NewRequest(http.MethodGet, "http://"+address+"/socket.io/?EIO=4&transport=polling", nil)
	if err != nil {
		return 0
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	return response.StatusCode
}
