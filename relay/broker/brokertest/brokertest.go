// Package brokertest is the contract of broker.Broker as a suite that any implementation can be
// held against:
//
//	brokertest.Run(t, brokertest.Harness{New: func(t *testing.T, o brokertest.Options) *brokertest.Store { … }})
//
// What an implementation cannot suffer (a store within the process does not go away) it leaves out
// of its Store, and the cases that need it are not run.
package brokertest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"setu/relay/broker"
)

// Harness says how to come by stores.
type Harness struct {
	// New makes an empty store of the test's own.
	New func(t *testing.T, o Options) *Store
	// Shared: several relays may use one store, and see one another.
	Shared bool
	// Outages: stores can lose data and go away (Wipe and Flush, Save, Stop and Start, Freeze),
	// relays can be cut off.
	Outages bool
}

// Options of a store, and of the relays on it.
type Options struct {
	broker.Limits
	Lease time.Duration
	// Own asks for a store that is nobody else's: the test is going to break it.
	Own bool
}

// Store is one store and what can be done to it.
type Store struct {
	// Open starts a relay. It is closed with the test.
	Open func(t *testing.T) *Relay

	Flush  func()                   // loses everything, in the middle of work
	Wipe   func()                   // restarts, empty
	Save   func() (rollback func()) // rollback restarts it as it was at Save
	Stop   func()                   // goes away, keeping what it has
	Start  func()                   // and comes back
	Freeze func() (unfreeze func()) // keeps its connections open and answers nothing
}

// Relay is one broker, and what can be done to its way to the store.
type Relay struct {
	broker.Broker
	Self broker.Peer          // as the others find it, if the store is shared
	Kill func()               // ends it as SIGKILL would
	Drop func()               // closes its connections, once
	Cut  func() (mend func()) // closes its connections, and lets no new ones come about
	Hang func()               // its connections, once, stay open and carry nothing
	// Deafen has its connections, once, answer as before and bring nothing that was published.
	Deafen func()
}

// How long a test waits for what must happen, however busy the machine is.
const patience = time.Minute

// Run holds every implementation against the same cases.
func Run(t *testing.T, h Harness) {
	run := func(name string, test func(*testing.T, Harness)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, h)
		})
	}
	run("numbers", testNumbers)
	run("batch", testBatch)
	run("one order", testOneOrder)
	run("idempotent", testIdempotent)
	run("idempotency lasts", testIdempotencyLasts)
	run("idempotency outlives history", testIdempotencyOutlivesHistory)
	run("history", testHistory)
	run("history gap", testHistoryGap)
	run("snapshot", testSnapshot)
	run("snapshot then live", testSnapshotThenLive)
	run("stop", testStop)
	run("expiry", testExpiry)
	run("signals", testSignals)
	run("presence", testPresence)
	run("nobody present", testNobodyPresent)
	run("renamed", testRenamed)
	run("head", testHead)
	run("reach", testReach)
	run("close", testClose)
	run("session", testSession)
	run("session data", testSessionData)
	run("session sizes", testSessionSizes)
	run("session offsets", testSessionOffsets)
	run("session race", testSessionRace)
	run("session ends", testSessionEnds)
	run("session expiry", testSessionExpiry)
	run("session closed", testSessionClosed)
	run("no peers", testNoPeers)
	run("revoked", testRevoked)
	run("revoked, the stricter holds", testRevokedStricter)
	run("revocations expire", testRevocationsExpire)
	run("muted", testMuted)
	run("rooms", testRooms)
	run("command", testCommand)
	run("command, slow", testCommandSlow)
	run("notices", testNotices)
	run("notices after a grace", testNoticesGrace)
	run("notices in order", testNoticesInOrder)
	run("notices die", testNoticesDie)
	run("notices taken again", testNoticesTakenAgain)
	run("no notices", testNoNotices)
	run("notices that nobody takes", testNoticesUntaken)
	if h.Shared {
		run("shared command", testSharedCommand)
		run("command of the dead", testCommandDead)
		run("shared order", testSharedOrder)
		run("shared idempotent", testSharedIdempotent)
		run("shared signals", testSharedSignals)
		run("shared presence", testSharedPresence)
		run("shared renamed", testSharedRenamed)
		run("subscribed amid changes", testSubscribedAmidChanges)
		run("close announces", testCloseAnnounces)
		run("relay dies", testRelayDies)
		run("shared session", testSharedSession)
		runFleet(run)
		run("shared secret", testSharedSecret)
		run("revoked everywhere", testRevokedEverywhere)
		run("revoked, then delivered", testRevokedThenDelivered)
		run("shared notices", testSharedNotices)
		run("notices of who moves", testSharedNoticesMove)
	}
	runAnnotations(h, run)
	if h.Shared && h.Outages {
		runOutages(run)
	}
}

// runFleet holds relays that share a store to what they know of one another.
func runFleet(run func(string, func(*testing.T, Harness))) {
	run("peers", testPeers)
	run("peers that withdraw", testPeersWithdrawn)
	run("others", testOthers)
	run("others that drain", testOthersDrain)
}

// runOutages holds implementations whose store can fail against more.
func runOutages(run func(string, func(*testing.T, Harness))) {
	run("connections dropped", testDropped)
	run("catch-up in order", testCatchUpOrder)
	run("missed more than kept", testTrimmed)
	run("missed what expired", testMissedExpiry)
	run("half-open", testHalfOpen)
	run("deaf", testDeaf)
	run("flushed", testFlushed)
	run("wiped", testWiped)
	run("renamed, then flushed", testRenamedFlushed)
	run("renamed while away", testRenamedAway)
	run("rolled back", testRolledBack)
	run("rolled back and grown again", testRegrown)
	run("restarted", testRestarted)
	run("unavailable", testUnavailable)
	run("frozen", testFrozen)
	run("away at start", testAwayAtStart)
	run("fence lost", testFenceLost)
	run("fence away", testFenceAway)
	run("session flushed", testSessionFlushed)
	run("session wiped", testSessionWiped)
	run("session brought back", testSessionBroughtBack)
	run("session rolled back", testSessionRolledBack)
	run("session regrown", testSessionRegrown)
	run("session away", testSessionAway)
	run("secret flushed", testSecretFlushed)
	run("others flushed", testOthersFlushed)
	run("revoke waits", testRevokeWaits)
	run("revoked while away", testRevokedAway)
	run("revoked, then restarted", testRevokedRestarted)
	run("revoked, then flushed", testRevokedFlushed)
	run("revoked, then rolled back", testRevokedRolledBack)
	run("revoke without the store", testRevokeUnavailable)
	run("command, connections dropped", testCommandDropped)
	run("command without the store", testCommandUnavailable)
	run("notices flushed", testNoticesFlushed)
	run("notices restarted", testNoticesRestarted)
	run("notices lost", testNoticesLost)
}

func defaults() Options {
	// A lease that a slow machine does not lose; tests of what happens when one ends have a shorter one.
	return Options{Limits: broker.Limits{History: 100, TTL: time.Minute}, Lease: 10 * time.Second}
}

// eventually polls until ok; what says what did not come about, a func() string as it was in the
// end.
func eventually(t *testing.T, what any, ok func() bool) {
	t.Helper()
	within(t, patience, what, ok)
}

func within(t *testing.T, d time.Duration, what any, ok func() bool) {
	t.Helper()
	if ok() {
		return
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		if ok() {
			return
		}
	}
	if ok() {
		return
	}
	if say, lazy := what.(func() string); lazy {
		what = say()
	}
	t.Fatalf("after %v: not %s", d, what)
}

// stoodStill is how long a call takes at least that fails because the machine stands still: no store refuses so late.
const stoodStill = 2500 * time.Millisecond

// publish stores one message and returns its receipt. It says it again, as clients do, if the machine stood still.
func publish(t *testing.T, b broker.Broker, room, user, id, body string) broker.Receipt {
	t.Helper()
	p := broker.Publication{Room: room, User: user, ID: id, Body: body}
	began := time.Now()
	r := b.Publish(t.Context(), p)
	for tries := 0; tries < 5 && len(r) == 1 && errors.Is(r[0].Err, broker.ErrUnavailable) && time.Since(began) > stoodStill; tries++ {
		began = time.Now()
		r = b.Publish(t.Context(), p)
		r[0].Duplicate = false // it may have been stored before
	}
	if len(r) != 1 || r[0].Err != nil {
		t.Fatalf("publish %q in %q: %+v", body, room, r)
	}
	return r[0]
}

// publishMany stores n messages called prefix0, prefix1, …
func publishMany(t *testing.T, b broker.Broker, room, prefix string, n int) (receipts []broker.Receipt) {
	t.Helper()
	for i := range n {
		text := fmt.Sprint(prefix, i)
		receipts = append(receipts, publish(t, b, room, "ann", text, text))
	}
	return receipts
}

func bodies(messages []broker.Message) []string {
	out := make([]string, len(messages))
	for i, m := range messages {
		out[i] = m.Body
	}
	return out
}

// numbered is prefix<from> … prefix<to-1>.
func numbered(prefix string, from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint(prefix, i))
	}
	return out
}
