package limit

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// Who sends all that it may, in bursts and at its rates, is not judged for it, however seldom its packets are counted;
// who sends a little more is, in time.
func TestArrivals(t *testing.T) {
	rates := Rates{Join: perSecond(20, 250), Event: perSecond(50, 250), Publish: {}}
	for name, test := range map[string]struct {
		factor  float64
		tooMany bool
	}{"all that it may": {1, false}, "a third more": {1.35, true}} {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			a, client, sent := NewArrivals(&rates), NewClient(&rates, nil), Packets{}
			began, tooMany := time.Now(), false
			for step := 0; time.Since(began) < 2*time.Minute && !tooMany; step++ {
				<-time.After(time.Duration(random.IntN(1000)) * time.Millisecond)
				for k := range rates {
					for random.IntN(1000) > 0 && client.Take(Kind(k)) == 0 && sent[k] < 10_000 {
						sent[k]++
					}
				}
				if step%10 == 9 {
					for k := range sent {
						sent[k] = int(float64(sent[k]) * test.factor)
					}
					tooMany = a.Count(&sent)
					sent = Packets{}
				}
			}
			if tooMany != test.tooMany {
				t.Errorf("%s: too many: %t, after %s", name, tooMany, time.Since(began))
			}
		})
	}
}

// A flood is too much at once; so is one that nobody has counted for a while, but for what may have come meanwhile.
func TestArrivalsOfFlood(t *testing.T) {
	rates := Rates{Join: perSecond(20, 250), Event: perSecond(50, 250), Bytes: perSecond(100, 1000)}
	for name, test := range map[string]struct {
		after   time.Duration
		packets Packets
		tooMany bool
	}{
		"what is refused, without a close": {0, Packets{Event: 250 + 100}, false},
		"one more":                         {0, Packets{Event: 250 + 101}, true},
		"of two kinds":                     {0, Packets{Event: 250 + 50, Join: 250 + 51}, true},
		"later":                            {time.Second, Packets{Event: 300 + 110}, false},
		"later, one more":                  {time.Second, Packets{Event: 300 + 111}, true},
		"what has no limit":                {0, Packets{Publish: 1e6}, false},
		"bytes, as many as are taken":      {0, Packets{Bytes: 2000}, false},
		"more bytes":                       {0, Packets{Bytes: 2000 + 101}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := NewArrivals(&rates)
			<-time.After(test.after)
			if is := a.Count(&test.packets); is != test.tooMany {
				t.Errorf("%s: too many: %t", name, is)
			}
		})
	}
}
