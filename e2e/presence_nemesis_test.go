package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/e2e/attendance"
	"setu/e2e/cluster"
	"setu/e2e/nemesis"
	"setu/relay/wiretest"
)

// attended is relays as processes, a Redis, and an app that is told who is there.
type attended struct {
	t        testing.TB
	redis    *cluster.Redis
	relays   []*nemesis.Relay
	app      *attendance.App
	visitors []*attendance.Visitor
	rules    attendance.Rules
	did      map[string]int // faults brought about
}

// visitors is how many people come and go, in rooms of four.
const visitors = 24

func newAttended(t *testing.T, seed uint64) *attended {
	a := &attended{t: t, app: attendance.NewApp(t), rules: attendance.Rules{Grace: 3 * time.Second, Lease: 5 * time.Second}, did: map[string]int{}}
	a.redis = cluster.StartRedis(t, cluster.NewNetwork(t), cluster.RedisOptions{AppendOnly: true})
	var endpoints []string
	for _, name := range []string{"dublin", "tokyo", "quito"} {
		r := nemesis.StartRelay(t, name, wiretest.NewLink(t, a.redis.Address()), "PRESENCE_LEASE="+a.rules.Lease.String(), "PING_INTERVAL=5s", "PING_TIMEOUT=5s",
			"DRAIN_TIMEOUT=10s", "HOOK_URL="+a.app.URL, "HOOK_NETWORK=any", "HOOK_EVENTS=presence", "HOOK_TIMEOUT=1s", "HOOK_GRACE="+a.rules.Grace.String())
		a.relays, endpoints = append(a.relays, r), append(endpoints, r.WS())
	}
	for i := range visitors {
		a.visitors = append(a.visitors, attendance.NewVisitor(fmt.Sprint("v", i), fmt.Sprint("room", i/4), endpoints, a.rules, seed+uint64(i), i%2 == 0 && i < visitors-4))
	}
	return a
}

// Who comes and goes is told to the app, and none of it is missing, doubled but for what nobody could know, or
// in another order: while relays are killed and drained, Redis is killed and restarted, and the app is down.
// SETU_E2E_SEED repeats a run's plan, SETU_E2E_ATTENDANCE ("5m") makes it longer, with the app down for a
// minute.
func TestPresenceIsToldUnderNemesis(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	seed, err := strconv.ParseUint(os.Getenv("SETU_E2E_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	length, err := time.ParseDuration(os.Getenv("SETU_E2E_ATTENDANCE"))
	down := time.Minute
	if err != nil {
		length, down = 0, 2*time.Second
	}
	t.Logf("SETU_E2E_SEED=%d", seed)
	a := newAttended(t, seed)
	life, end := context.WithCancel(t.Context())
	moving, settle := context.WithCancel(life)
	var running sync.WaitGroup
	for _, v := range a.visitors {
		running.Go(func() { v.Run(life, moving) })
	}
	defer running.Wait()
	defer end()
	began := time.Now()
	a.calm(time.Second)
	chance := rand.New(rand.NewPCG(seed, 1))
	for _, fault := range []func(){func() { a.killRelay(0) }, a.killRedis, func() { a.appIs("gone", attendance.Gone, down) }, func() { a.killRelay(1) }, func() { a.drainRelay(2) }} {
		fault()
		a.calm(time.Second / 2)
	}
	for time.Since(began) < length {
		a.anything(chance)
		a.calm(time.Duration(chance.IntN(5000)) * time.Millisecond)
	}
	settle()
	verdict := a.conclude()
	end()
	t.Logf("SETU_E2E_SEED=%d, %v: %s, %d requests, faults %v", seed, time.Since(began).Round(time.Second), &verdict, a.app.Tries(), a.did)
	if verdict.Told < visitors {
		t.Errorf("only %d notices", verdict.Told)
	}
}

func (a *attended) calm(d time.Duration) { <-time.After(d) }

func (a *attended) killRelay(i int) {
	a.did["relay killed"]++
	a.relays[i].Kill()
	a.calm(2 * a.rules.Lease)
	a.relays[i].Start()
}

func (a *attended) drainRelay(i int) {
	a.did["relay drained"]++
	o := attendance.Outage{From: time.Now()} // who is gone is written when all is done
	a.relays[i].Term()
	o.To = time.Now()
	a.relays[i].Start()
	a.rules.Outages = append(a.rules.Outages, o)
}

func (a *attended) killRedis() {
	a.did["redis killed"]++
	o := attendance.Outage{From: time.Now()}
	a.redis.Kill()
	a.calm(time.Second)
	a.redis.Start()
	o.To = time.Now()
	a.rules.Outages = append(a.rules.Outages, o)
}

func (a *attended) appIs(what string, m attendance.Mood, d time.Duration) {
	a.did["app "+what]++
	a.app.Be(m)
	a.calm(d)
	a.app.Be(attendance.Well)
}

// anything brings about one fault, or two.
func (a *attended) anything(chance *rand.Rand) {
	i, d := chance.IntN(len(a.relays)), time.Duration(1+chance.IntN(10))*time.Second
	switch chance.IntN(8) {
	case 0:
		a.killRelay(i)
	case 1:
		a.drainRelay(i)
	case 2:
		a.killRedis()
	case 3:
		a.appIs("failing", attendance.Failing, d)
	case 4:
		a.appIs("hanging", attendance.Hanging, d)
	case 5:
		a.appIs("mute", attendance.Mute, d)
	case 6:
		a.app.Be(attendance.Hanging)
		a.did["app hanging"]++
		a.killRelay(i)
		a.app.Be(attendance.Well)
	default:
		a.did["redis and relay killed"]++
		a.relays[i].Kill()
		a.killRedis()
		a.relays[i].Start()
	}
}

// conclude waits until all is told, and judges it.
func (a *attended) conclude() (verdict attendance.Verdict) {
	deadline := time.Now().Add(2 * time.Minute)
	for {
		a.calm(time.Second / 4)
		if verdict = a.judge(); len(verdict.Faults) == 0 || time.Now().After(deadline) {
			break
		}
	}
	for i, fault := range verdict.Faults {
		if i < 20 {
			a.t.Error(fault)
		}
	}
	return verdict
}

func (a *attended) judge() (verdict attendance.Verdict) {
	rooms := map[string]bool{} // whether somebody is there
	for i, v := range a.visitors {
		is := a.rules.Judge(v.ID(), v.Visits(), a.app.Told("user "+v.ID()))
		for j, fault := range is.Faults {
			is.Faults[j] = strings.ReplaceAll(fault, v.ID(), fmt.Sprint("v", i))
		}
		verdict.Add(is)
		rooms[v.Room()] = rooms[v.Room()] || v.IsHere()
	}
	for room, there := range rooms {
		is, first := a.rules.JudgeOrder(room, a.app.Told("room "+room))
		if said := len(first) > 0 && first[len(first)-1].There; said != there {
			is.Faults = append(is.Faults, fmt.Sprintf("%s is occupied: %v, and was last told: %v", room, there, said))
		}
		verdict.Add(is)
	}
	return verdict
}
