package relay

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"setu/relay/wiretest"
)

// What a round trip to an app costs, at so many events a second over so many connections, beside an event that the
// relay answers by itself: SETU_HOOK_RATE=1000 go test ./relay -run TestHookCost -v
func TestHookCost(t *testing.T) {
	rate, err := strconv.Atoi(os.Getenv("SETU_HOOK_RATE"))
	if err != nil {
		t.Skip("measures, if SETU_HOOK_RATE says how many events a second")
	}
	const clients, seconds = 100, 20
	for _, event := range []string{"ping", "event", "publish", "moderated publish"} {
		kind := "HOOK_EVENTS=event"
		if event == "moderated publish" {
			kind = "HOOK_EVENTS=publish"
		}
		_, pairs := newApp(t, always(200, `{"ack":[1]}`))
		if event == "moderated publish" {
			_, pairs = newApp(t, always(200, `{}`))
		}
		r := overTCP(t, slices.Concat(pairs, wiretest.Unlimited(), []string{kind})...)
		var mu sync.Mutex
		var took []time.Duration
		var all sync.WaitGroup
		failed := 0
		for i := range clients {
			p := r.member(fmt.Sprint("c", i), fmt.Sprint("room", i))
			all.Go(func() {
				tick := time.NewTicker(time.Second * clients / time.Duration(rate))
				defer tick.Stop()
				for range seconds * rate / clients {
					<-tick.C
					began := time.Now()
					var ack string
					switch event {
					case "ping", "event":
						ack = p.Call(event, `{}`)
					default:
						ack = p.Call("publish", fmt.Sprintf(`{"room":"room%d","data":"hello"}`, i))
					}
					d := time.Since(began)
					p.Held = nil
					mu.Lock()
					took = append(took, d)
					if ack == "" || ack[0] == '{' && wiretest.Field(t, ack, "ok") != "true" {
						failed++
					}
					mu.Unlock()
				}
			})
		}
		began := time.Now()
		all.Wait()
		slices.Sort(took)
		at := func(p float64) time.Duration { return took[int(float64(len(took)-1)*p)].Round(time.Microsecond) }
		t.Logf("%-18s %d events in %v, %d failed: p50 %v, p90 %v, p99 %v, most %v", event, len(took), time.Since(began).Round(time.Second), failed, at(.5), at(.9), at(.99), at(1))
		r.close()
	}
}
