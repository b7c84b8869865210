package engine

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/limit"
	"setu/relay/wiretest"
)

var (
	flooder = netip.MustParseAddr("192.0.2.1")
	another = netip.MustParseAddr("192.0.2.2")
)

// addressed are pipes that come from an address.
type addressed struct {
	*wiretest.Pipes
	from netip.Addr // of the next that is dialed
}

// Accept implements net.Listener.
func (l *addressed) Accept() (net.Conn, error) {
	c, err := l.Pipes.Accept()
	return &addressedConn{c, net.TCPAddrFromAddrPort(netip.AddrPortFrom(l.from, 4711))}, err
}

type addressedConn struct {
	net.Conn
	from net.Addr
}

// RemoteAddr implements net.Conn.
func (c *addressedConn) RemoteAddr() net.Addr { return c.from }

// withTurns is overPipes with clients that have addresses: that of the flooder, until l says another.
func withTurns(t *testing.T, open func(*Session) Handler, test func(t *testing.T, r *rig, l *addressed), pairs ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &addressed{wiretest.NewPipes(), flooder}
		r := newRig(t, l, l.Dial, open, append(pairs, "MAX_ADDRESS_CONNECTIONS=1000")...)
		defer func() {
			r.close()
			<-time.After(3 * time.Second)
		}()
		test(t, r, l)
	})
}

// What an address wants waits while it owes, by whatever way it comes, and is served then.
func TestWhatWaitsItsTurn(t *testing.T) {
	ask := func(request func(r *rig)) func(r *rig) func() {
		return func(r *rig) func() { return func() { request(r) } }
	}
	for name, begin := range map[string]func(r *rig) (do func()){
		"the second message": func(r *rig) func() { // for the first it had been its turn already
			p := r.greeted()
			return func() { p.Text("4x"); p.Text("4y"); p.Expect("4x"); p.Expect("4y") }
		},
		"a ping": func(r *rig) func() {
			p := r.greeted()
			return func() { p.Write(wiretest.ClientFrame(0x89, nil)); p.NextFrame() }
		},
		"a POST": func(r *rig) func() {
			p := r.Poll()
			return func() { p.Post("4x") }
		},
		"a handshake":   ask(func(r *rig) { r.greeted() }),
		"a poll":        ask(func(r *rig) { r.Poll() }),
		"a bad request": ask(func(r *rig) { r.Request("GET", path, nil) }),
	} {
		withTurns(t, tapes(echo), func(t *testing.T, r *rig, l *addressed) {
			do := begin(r)
			l.from = another
			other := r.greeted()
			r.srv.Spend(flooder, time.Hour)
			began := time.Now()
			other.Text("4z")
			other.Expect("4z")
			if took := time.Since(began); took > 0 {
				t.Errorf("%s: another address waits for %s", name, took)
			}
			l.from = flooder
			do()
			if took := time.Since(began); took < time.Second || took > 3*time.Second {
				t.Errorf("%s: it took %s, though its address owes", name, took)
			}
		})
	}
}

// What was read ahead waits as what was not.
func TestWhatWasReadAheadWaits(t *testing.T) {
	withTurns(t, tapes(echo), func(t *testing.T, r *rig, _ *addressed) {
		const packets = 100
		began := time.Now()
		p := wiretest.Upgrade(t, r.Dial(), bytes.Repeat(wiretest.ClientFrame(0x81, []byte("4x")), packets)...)
		for p.Packet()[0] != '4' {
		}
		for range packets - 1 {
			p.Expect("4x")
		}
		if took, least := time.Since(began), 4*packets*packetPrice-4*time.Millisecond; took < least {
			t.Errorf("%d packets took %s, not %s", packets, took, least)
		}
	})
}

// A flood is served as much of the time as its address has, however many connections bring it, and in the order in
// which it came.
func TestFloodWaits(t *testing.T) {
	var served atomic.Int64
	count := func(*Session, []byte, bool) error { served.Add(1); return nil }
	withTurns(t, tapes(count), func(t *testing.T, r *rig, _ *addressed) {
		var clients []*wiretest.Peer
		for range 50 {
			clients = append(clients, r.greeted())
		}
		<-time.After(time.Second)
		began := time.Now()
		frames := strings.Repeat(string(wiretest.ClientFrame(0x81, []byte("4sixteen.."))), 1000) // with its header, as many as are read at a time
		for _, p := range clients {
			go func() { _, _ = p.Conn.Write([]byte(frames)) }()
		}
		<-time.After(time.Second)
		n, most := int(served.Load()), int(time.Since(began)/4/(readPrice+packetPrice))
		if n > most*11/10 || n < most*9/10 {
			t.Errorf("%d of 50,000 were served in a second, not %d", n, most)
		}
	})
}

// Without a bound on the connections of an address nothing waits, and nothing of an address that is not known.
func TestNothingWaits(t *testing.T) {
	off := newLimits(&Config{})
	if off.turnOf(flooder) != nil || off.enterTurn(flooder) != nil {
		t.Error("it waits, though it is off")
	}
	on := newLimits(&Config{MaxAddressConnections: 1})
	if on.turnOf(netip.Addr{}) != nil || on.enterTurn(netip.Addr{}) != nil || on.turnOf(flooder) == nil {
		t.Error("it waits by no address")
	}
}

// What a client does is paid for by its address, by about what it costs.
func TestPrices(t *testing.T) {
	taking := func(s *Session, data []byte, binary bool) error {
		switch string(data) {
		case "join":
			s.Take(limit.Join)
		case "list":
			s.Take(limit.History)
		}
		return echo(s, data, binary)
	}
	withTurns(t, tapes(taking), func(t *testing.T, r *rig, _ *addressed) {
		p := r.greeted()
		say := func(message string) func() {
			return func() { p.Text("4" + message); p.Expect("4" + message) }
		}
		for name, test := range map[string]struct {
			do    func()
			price time.Duration
		}{
			"a session":       {func() { r.greeted() }, requestPrice + openPrice},
			"a poll":          {func() { r.Poll() }, requestPrice + openPrice},
			"an upgrade":      {func() { wiretest.UpgradeTo(t, r.Dial(), r.Poll().SID) }, 2*requestPrice + openPrice + upgradePrice},
			"a POST of ten":   {func() { r.Poll().Post("4x" + strings.Repeat("\x1e4x", 9)) }, 2*requestPrice + openPrice + 10*packetPrice},
			"a message":       {say("x"), packetPrice + readPrice},
			"a join":          {say("join"), packetPrice + readPrice + joinPrice},
			"a list":          {say("list"), packetPrice + readPrice + listPrice},
			"half a megabyte": {say(strings.Repeat("x", 500_000)), 500_000 * (bytePrice + partPrice)},
		} {
			<-time.After(5 * time.Second)
			began := time.Now()
			test.do()
			synctest.Wait()
			if paid := (r.srv.Owes(flooder) + time.Since(began)) / 4; paid < test.price || paid > 3*test.price {
				t.Errorf("%s is paid for with %s, not %s", name, paid, test.price)
			}
		}
	}, "PING_INTERVAL=1h")
}

// A session that has ended is none of its address' crowd.
func TestCrowdLeaves(t *testing.T) {
	withTurns(t, tapes(echo), func(t *testing.T, r *rig, _ *addressed) {
		crowd := r.srv.limits.turnOf(flooder).Crowd()
		p := r.greeted()
		if crowd.Load() != 1 {
			t.Error(crowd.Load(), " are one")
		}
		_ = p.Conn.Close()
		<-time.After(time.Second)
		if crowd.Load() != 0 {
			t.Error(crowd.Load(), " are none")
		}
	})
}

// Who has the address of a flood waits with it, for a second each time, and keeps its session: nothing that the flood is
// refused is laid to it, and its heartbeat has time enough.
func TestNeighbourOfAFlood(t *testing.T) {
	withTurns(t, tapes(echo), func(t *testing.T, r *rig, _ *addressed) {
		p := r.greeted()
		frames := []byte(strings.Repeat(string(wiretest.ClientFrame(0x81, []byte("4sixteen.."))), 1000))
		for range 20 {
			k := r.greeted()
			go func() { _, _ = io.Copy(io.Discard, k.Conn) }()
			go func() {
				for {
					if _, err := k.Conn.Write(frames); err != nil {
						return
					}
				}
			}()
		}
		say := func() {
			t.Helper()
			began := time.Now()
			p.Text("4mine")
			for s := p.Packet(); s != "4mine"; s = p.Packet() {
				if s != "2" {
					t.Fatal("not an echo, but ", s)
				}
				p.Text("3")
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("it took %s", took)
			}
		}
		for range 4 {
			say()
			<-time.After(2 * time.Second)
		}
		r.srv.Spend(flooder, time.Hour)
		say()
	}, "PING_INTERVAL=3s", "PING_TIMEOUT=4s")
}
