package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"setu/e2e/client"
	"setu/e2e/cluster"
)

// trouble is a fault and its end; nil where it ends by itself.
type trouble struct {
	of, what   string // who has it; what is down already can't have another
	begin, end func()
}

// People talk while relays and Redis are killed, drained, frozen and cut off,
// two at a time. SETU_E2E_SEED repeats a run, as far as its plan goes, and
// SETU_E2E_CHAOS makes it longer ("10m").
func TestChaos(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	seed, err := strconv.ParseUint(os.Getenv("SETU_E2E_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	length, err := time.ParseDuration(os.Getenv("SETU_E2E_CHAOS"))
	if err != nil {
		length = 30 * time.Second
	}
	t.Logf("SETU_E2E_SEED=%d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))

	f := startFleet(t, cluster.RedisOptions{AppendOnly: true}, map[string]string{
		"PRESENCE_LEASE": "3s", "PING_INTERVAL": "2s", "PING_TIMEOUT": "2s",
	})
	f.history.Note("SETU_E2E_SEED=%d", seed)
	asha, ben := f.join("asha", f.dublin, f.tokyo), f.join("ben", f.tokyo, f.dublin)
	cleo, dan := f.join("cleo", f.dublin, f.tokyo), f.join("dan", f.tokyo, f.dublin)
	eve := f.join("eve", f.dublin)
	everyone := []*client.Client{asha, ben, cleo, dan, eve}
	epoch := asha.Epoch()
	talking := f.talk(asha, ben, cleo)

	rounds := 0
	for began := time.Now(); time.Since(began) < length; rounds++ {
		f.more(5, everyone...)
		first, second := f.pick(chance, everyone), f.pick(chance, everyone)
		f.cause(first)
		pass(t, chance, 1500*time.Millisecond)
		if second.of != first.of && chance.IntN(2) == 0 {
			f.cause(second)
			pass(t, chance, 3*time.Second)
			f.mend(second)
		}
		f.mend(first)
		f.heal()
	}
	talking.end()
	verdict := f.conclude(everyone...)
	t.Logf("%d rounds: %s", rounds, verdict)
	awaitCount(f, dan, len(everyone))
	if after := f.connect("fay", f.tokyo).Epoch(); (after != epoch) != f.wiped {
		t.Errorf("the epoch is %s, was %s; Redis was wiped: %t", after, epoch, f.wiped)
	}
}

// pick chooses what happens next.
func (f *fleet) pick(chance *rand.Rand, members []*client.Client) trouble {
	relay := []*cluster.Relay{f.dublin, f.tokyo}[chance.IntN(2)]
	someone := members[chance.IntN(len(members))]
	kind := []string{"normal", "pubsub"}[chance.IntN(2)]
	all := []trouble{
		{relay.Name(), "killed", relay.Kill, relay.StartUnready},
		{relay.Name(), "drained", func() { relay.Term() }, relay.StartUnready},
		{relay.Name(), "cut off", relay.CutFromNetwork, relay.Reconnect},
		{relay.Name(), "frozen", relay.Pause, relay.Unpause},
		{"redis", "killed", f.redis.Kill, f.redis.Start},
		{"redis", "wiped", func() { f.redis.Wipe(); f.wiped = true }, nil},
		{"redis", "frozen", f.redis.Pause, f.redis.Unpause},
		{"redis", "cuts " + kind, func() { f.redis.CLI("CLIENT", "KILL", "TYPE", kind) }, nil},
		{someone.Name(), "cut", someone.Cut, nil},
	}
	return all[chance.IntN(len(all))]
}

func (f *fleet) cause(what trouble) { f.t.Helper(); f.do(what.of+" "+what.what, what.begin) }

func (f *fleet) mend(what trouble) {
	f.t.Helper()
	if what.end != nil {
		f.do(what.of+" no longer "+what.what, what.end)
	}
}

// heal waits until both relays serve again.
func (f *fleet) heal() {
	f.t.Helper()
	for _, relay := range []*cluster.Relay{f.dublin, f.tokyo} {
		cluster.Eventually(f.t, patience, relay.Name()+" serves again", func() error {
			if status := relay.Status("/readyz"); status != 200 {
				return fmt.Errorf("/readyz answers %d", status)
			}
			return nil
		})
	}
}

// pass lets a fault last for a while that nothing else decides.
func pass(t *testing.T, chance *rand.Rand, most time.Duration) {
	select {
	case <-t.Context().Done():
	case <-time.After(time.Duration(chance.Int64N(int64(most)))):
	}
}
