package e2e_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/e2e/cluster"
	"setu/e2e/nemesis"
	"setu/e2e/swarm"
)

const (
	overloadLasts = time.Second      // after which nothing more is published, and answers are awaited
	overloadPeers = 160              // publishers
	peersPerRoom  = 5                // of them
	peerWindow    = 64               // publishes of each that are not answered yet: what a relay takes in of a client
	answerMost    = 16 * time.Second // until any answer: 5 s for those before it, 5 s of its own, and a moment
	occupiers     = 3                // that take 50 ms of Redis' time each, between which it turns to others
	overloadBytes = 1000             // of each message
)

// More is published than Redis takes, since it works for somebody else nearly all of the time. What it
// does not take in time is answered unavailable, and what was acknowledged is heard by everybody.
func TestRedisIsOccupied(t *testing.T) {
	l := startLoaded(t)
	relay := l.relay("dublin", "HISTORY_LIMIT=10000")
	l.inTime(2*patience, relay)
	var peers []*peer
	for i := range overloadPeers {
		room := fmt.Sprint("room-", i/peersPerRoom)
		c := l.dial(relay, fmt.Sprint("peer-", i), room, swarm.Options{})
		peers = append(peers, &peer{Client: c, name: fmt.Sprintf("p%d-", i), room: room, heard: map[string][]uint64{}, acked: map[string]uint64{}, asked: map[int]time.Time{}})
	}
	stop := make(chan struct{})
	var releases []func()
	for range occupiers {
		releases = append(releases, l.occupyRedis())
	}
	var wg sync.WaitGroup
	for _, p := range peers {
		wg.Go(func() { p.fault = p.publishAll(stop) })
	}
	<-time.After(overloadLasts)
	close(stop)
	wg.Wait() // all answers came while Redis was busy
	for _, release := range releases {
		release()
	}

	// What came to be stored without an answer may still come.
	cluster.Eventually(t, patience, "the relay is ready", func() error {
		if status := relay.Status(); status != 200 {
			return fmt.Errorf("/readyz answers %d", status)
		}
		return nil
	})
	for _, p := range peers {
		wg.Go(func() { p.fault = errors.Join(p.fault, p.finish()) })
	}
	wg.Wait()
	judgePeers(t, peers)
	l.staysSmall(relay)
}

// peer publishes as fast as it is answered, and hears its room.
type peer struct {
	*swarm.Client
	name, room string
	asks       int
	asked      map[int]time.Time // not answered yet
	acked      map[string]uint64 // where what was acknowledged stands
	heard      map[string][]uint64
	last       uint64
	took       []time.Duration
	refused    int
	fault      error
}

var overloadData = `"` + strings.Repeat("x", overloadBytes) + `"`

func (p *peer) ask() error {
	p.asks++
	p.asked[p.asks] = time.Now()
	return p.Publish(p.asks, p.room, fmt.Sprint(p.name, p.asks), overloadData)
}

// publishAll publishes until it is told to stop, and waits for all answers.
func (p *peer) publishAll(stop chan struct{}) error {
	for range peerWindow {
		if err := p.ask(); err != nil {
			return err
		}
	}
	for len(p.asked) > 0 {
		answered, err := p.take()
		if err != nil {
			return err
		}
		select {
		case <-stop:
			continue
		default:
		}
		if answered {
			if err := p.ask(); err != nil {
				return err
			}
		}
	}
	return nil
}

// take reads one packet.
func (p *peer) take() (answered bool, err error) {
	packet, err := p.Next()
	if err != nil {
		return false, err
	}
	if swarm.IsMessage(packet) {
		seq, id := swarm.Seq(packet), swarm.Text(packet, `"id":"`)
		if seq != p.last+1 {
			return false, fmt.Errorf("heard %d after %d", seq, p.last)
		}
		p.last = seq
		p.heard[id] = append(p.heard[id], seq)
		return false, nil
	}
	if !swarm.IsAnswer(packet) {
		return false, fmt.Errorf("heard %.200q", packet)
	}
	ask, answer, err := swarm.ParseAnswer(packet)
	if err != nil {
		return false, err
	}
	p.took = append(p.took, time.Since(p.asked[ask]))
	delete(p.asked, ask)
	switch {
	case answer.OK:
		p.acked[fmt.Sprint(p.name, ask)] = answer.Seq
	case answer.Error.Code == "unavailable":
		p.refused++
	default:
		return false, fmt.Errorf("answered %.200q", packet)
	}
	return true, nil
}

// finish says one thing more, and hears all up to it.
func (p *peer) finish() error {
	if err := p.ask(); err != nil {
		return err
	}
	last := fmt.Sprint(p.name, p.asks)
	for p.acked[last] == 0 || p.last < p.acked[last] {
		if _, err := p.take(); err != nil {
			return err
		}
		if len(p.asked) == 0 && p.acked[last] == 0 {
			return errors.New("the last publish was refused, of a Redis that has time again")
		}
	}
	return nil
}

func judgePeers(t *testing.T, peers []*peer) {
	t.Helper()
	var took []time.Duration
	acked, refused, faults := 0, 0, 0
	for _, p := range peers {
		for id, seq := range p.acked {
			if at := p.heard[id]; len(at) != 1 || at[0] != seq {
				p.fault = errors.Join(p.fault, fmt.Errorf("%s was acknowledged at %d, and heard at %v", id, seq, at))
			}
		}
		if p.fault != nil {
			if faults++; faults <= 5 {
				t.Errorf("%s: %.1000v", p.name, p.fault)
			}
		}
		acked, refused, took = acked+len(p.acked), refused+p.refused, append(took, p.took...)
	}
	_, words := quantiles(took)
	t.Logf("%d publishes acknowledged and all heard, %d answered unavailable; time to an answer %s", acked, refused, words)
	if acked <= len(peers) { // how many are refused is for the machine to say
		t.Error("want some acknowledged while Redis is busy")
	}
	if most := took[len(took)-1]; most > answerMost {
		t.Errorf("an answer took %v", most)
	}
}

// occupyRedis has Redis work for somebody else, 50 ms at a time, until it is released.
func (l *loaded) occupyRedis() (release func()) {
	l.t.Helper()
	conn, err := net.Dial("tcp", l.redis.Address())
	if err != nil {
		l.t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	work := func(rounds int) error {
		if _, err := fmt.Fprintf(conn, "EVAL \"for i = 1, tonumber(ARGV[1]) do end\" 0 %d\r\n", rounds); err != nil {
			return err
		}
		line, err := answers.ReadString('\n')
		if err == nil && line != "$-1\r\n" {
			err = fmt.Errorf("Redis answers %q", line)
		}
		return err
	}
	rounds := 100_000
	for took := time.Duration(0); err == nil && took < 50*time.Millisecond; rounds *= 2 {
		began := time.Now()
		err = work(2 * rounds)
		took = time.Since(began)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
			}
			if err := work(rounds); err != nil {
				l.t.Errorf("occupy Redis: %v", err)
				return
			}
		}
	})
	release = sync.OnceFunc(func() {
		close(end)
		wg.Wait()
		conn.Close()
	})
	l.t.Cleanup(release)
	return release
}

// Redis is full, and evicts nothing: what is published is refused, members stay and hear what was
// acknowledged, and the log says it once. When there is room again all goes on by itself.
func TestRedisIsFull(t *testing.T) {
	l := startLoaded(t, "--maxmemory-policy", "noeviction")
	relay := l.relay("dublin", "HISTORY_LIMIT=10000", "LOG_LEVEL=info")
	l.inTime(2*patience, relay)
	s := &speaker{Client: l.dial(relay, "asha", "lobby", swarm.Options{}), l: l}
	ben := l.dial(relay, "ben", "lobby", swarm.Options{})

	l.redis.CLI("CONFIG", "SET", "maxmemory", "8mb")
	data := `"` + strings.Repeat("x", 10_000) + `"`
	stored, refused := uint64(0), swarm.Answer{}
	for refused.Error.Code == "" {
		if answer := s.say("lobby", data); answer.OK {
			stored = answer.Seq
		} else {
			refused = answer
		}
	}
	if stored == 0 || refused.Error.Code != "unavailable" {
		t.Errorf("after %d messages a publish is answered %+v", stored, refused)
	}
	// At the very limit there is still room for little things, such as what the relay tries.
	l.redis.CLI("CONFIG", "SET", "maxmemory", "4mb")
	awaitReadyz(l, relay, 503)
	for range 500 {
		if answer := s.say("lobby", data); answer.OK {
			t.Fatalf("taken by a Redis that is full: %+v", answer)
		}
	}
	said := 0
	for line := range strings.Lines(relay.Log()) {
		if strings.Contains(line, "OOM") {
			said++
		}
	}
	t.Logf("%d messages of 10 kB were taken, then 501 refused; the log says so in %d lines", stored, said)
	if said != 1 {
		t.Errorf("the log says it %d times:\n%s", said, relay.Log())
	}

	l.redis.CLI("CONFIG", "SET", "maxmemory", "0")
	began := time.Now()
	awaitReadyz(l, relay, 200)
	if seq := s.said("lobby", `"the end"`); seq != stored+1 {
		t.Errorf("the next message is %d, after %d", seq, stored)
	}
	t.Logf("taken again %v after there was room", time.Since(began).Round(time.Millisecond))
	for seq := uint64(1); seq <= stored+1; seq++ {
		packet, err := ben.Next()
		if err != nil || swarm.Seq(packet) != seq {
			t.Fatalf("ben heard %.200q, %v instead of %d", packet, err, seq)
		}
	}
	l.staysSmall(relay)
}

func awaitReadyz(l *loaded, relay *nemesis.Relay, want int) {
	l.t.Helper()
	cluster.Eventually(l.t, patience, fmt.Sprintf("/readyz answers %d", want), func() error {
		if status := relay.Status(); status != want {
			return fmt.Errorf("it answers %d", status)
		}
		return nil
	})
}
