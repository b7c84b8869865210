package e2e_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"setu/e2e/balancer"
	"setu/e2e/browser"
	"setu/e2e/client"
	"setu/e2e/cluster"
)

// Stock clients on default options, behind a load balancer that sends each of
// their requests to another relay: none has to be told to stick to one.
func TestNoStickySessions(t *testing.T) {
	t.Parallel()
	cluster.Require(t)
	site := serveStock(t)
	env := map[string]string{"ALLOWED_ORIGINS": site}
	f := startFleet(t, cluster.RedisOptions{}, env)
	relays := []*cluster.Relay{f.dublin, f.tokyo, f.relay("sydney", env)}
	c := gather(t, f, site, relays)

	// None is python by polling alone: where a POST of its fails it gives up (_reset,
	// in its _write_loop), and believes that it is connected ever after.
	talkers := []*stock{c.all[0], c.all[4], c.all[len(c.all)-1], c.all[len(c.all)-3]}
	for _, s := range talkers {
		s.ask("talk", map[string]any{"every": 250}, nil)
	}
	c.more(40)
	if told := c.troubles(nil); len(told) > 0 {
		t.Errorf("%d sessions failed while nothing was the matter:\n%s", len(told), strings.Join(told, "\n"))
	}
	t.Logf("while nothing was the matter: %s", c)

	var outages []outage
	for _, relay := range relays {
		o := outage{relay: relay, from: time.Now()}
		f.do("kill "+relay.Name(), relay.Kill)
		c.more(10)
		f.do("start "+relay.Name(), relay.Start)
		c.more(10)
		o.to = time.Now()
		outages = append(outages, o)
	}
	for _, s := range talkers {
		s.ask("hush", nil, nil)
	}
	c.everyoneHas(c.asha.Say(f.room, "the end").Seq)
	if told := c.troubles(outages); len(told) > 0 {
		t.Errorf("%d sessions failed that no relay's death explains:\n%s", len(told), strings.Join(told, "\n"))
	}
	t.Logf("in all: %s", c)
	verdict := f.history.Judge()
	if t.Log(verdict); len(verdict.Faults) > 0 {
		t.Fail()
	}
}

// congregation is many clients of several programs, all in one room.
type congregation struct {
	*fleet
	asha *client.Client
	way  *balancer.Balancer
	all  []*stock
	tabs []*browser.Tab
}

// gather has them all come: in tabs of their own (a browser has six connections
// for a tab's polling, not more) and by python, every fifth by polling alone.
func gather(t *testing.T, f *fleet, site string, relays []*cluster.Relay) *congregation {
	t.Helper()
	const tabs, inTab, inScript = 4, 5, 16
	c := &congregation{fleet: f, asha: f.join("asha", relays[0], relays[1])}
	var addresses []string
	for _, relay := range relays {
		addresses = append(addresses, relay.Address())
	}
	c.way = balancer.Start(t, addresses...)
	come := func(p program, n int, name string) {
		var transports []string
		if n%5 == 4 {
			transports = []string{"polling"}
			name += " polling"
		}
		s := f.stock(p, n, name, c.way.URL(), transports...)
		s.join()
		c.all = append(c.all, s)
	}
	chromium := browser.Start(t)
	for i := range tabs {
		tab := openStock(t, chromium, site)
		c.tabs = append(c.tabs, tab)
		for n := range inTab {
			come(page{t, tab}, n, fmt.Sprintf("js %d-%d", i, n))
		}
	}
	python := startScript(t, "testdata/stock_sessions.py")
	for n := range inScript {
		come(python, n, fmt.Sprintf("py %d", n))
	}
	return c
}

// more waits until everyone is connected, and has heard n more messages than asha has now.
func (c *congregation) more(n int) {
	c.t.Helper()
	c.fleet.more(n, c.asha)
	messages := c.asha.Messages(c.room)
	c.everyoneHas(messages[len(messages)-1].Seq)
}

// everyoneHas waits until everyone is connected, and has all messages up to one, each once.
func (c *congregation) everyoneHas(upTo uint64) {
	c.t.Helper()
	for _, s := range c.all {
		s.awaitAll(upTo)
		s.await("is connected", func() error {
			if !s.connected {
				return fmt.Errorf("it is not")
			}
			return nil
		})
	}
}

// outage is a time for which a relay was away, and what that brought lasted.
type outage struct {
	relay    *cluster.Relay
	from, to time.Time
}

func (o outage) at(when time.Time) bool { return !when.Before(o.from) && !when.After(o.to) }

// explains reports whether a session that ended then had to do with the relay that
// died: it was there, or had a request there.
func (o outage) explains(when time.Time, home string, requests []balancer.Request) bool {
	return o.at(when) && (home == o.relay.Name() || slices.ContainsFunc(requests, func(r balancer.Request) bool {
		return r.WasWith(o.relay.Address(), o.from, o.from.Add(time.Second))
	}))
}

// troubles returns all sessions that ended and all connections that failed, but
// for those that outages explain.
func (c *congregation) troubles(outages []outage) (told []string) {
	bySession := map[string][]balancer.Request{}
	for _, r := range c.way.Requests() {
		bySession[r.Session] = append(bySession[r.Session], r)
	}
	disturbed := c.disturbed()
	for _, s := range c.all {
		session, home := "", ""
		for _, e := range s.log {
			switch e.Kind {
			case "opened", "connected": // the first by JavaScript alone, before its CONNECT has arrived
				session, home = e.Session, ""
			case "welcomed":
				home = e.Note
			case "failed":
				if !slices.ContainsFunc(outages, func(o outage) bool { return o.at(e.at()) }) && !disturbed[""] && !disturbed[session] {
					told = append(told, fmt.Sprintf("%s could not connect: %s", s.name, e.Note))
				}
			case "gone":
				requests := bySession[session]
				if !slices.ContainsFunc(outages, func(o outage) bool { return o.explains(e.at(), home, requests) }) && !disturbed[session] {
					last := requests[max(0, len(requests)-6):]
					told = append(told, fmt.Sprintf("%s was at %s, and lost session %q at %s: %s, after %v",
						s.name, home, session, e.at().Format("15:04:05.000"), e.Note, last))
				}
			}
		}
	}
	return told
}

// disturbed is the sessions of which Chromium failed a request because this
// machine's networks had changed; "" is those that were still to be opened.
func (c *congregation) disturbed() map[string]bool {
	disturbed := map[string]bool{}
	for _, tab := range c.tabs {
		for _, url := range tab.Disturbed() {
			_, rest, _ := strings.Cut(url, "sid=")
			session, _, _ := strings.Cut(rest, "&")
			disturbed[session] = true
		}
	}
	return disturbed
}

// String counts.
func (c *congregation) String() string {
	events, refusals, requests := map[string]int{}, map[string]int{}, map[string]int{}
	elsewhere, sessions := 0, map[string]string{}
	for _, s := range c.all {
		for _, e := range s.log {
			if slices.Contains([]string{"connected", "gone", "failed", "resumed"}, e.Kind) {
				events[e.Kind]++
			}
		}
	}
	for _, r := range c.way.Requests() {
		requests[r.Kind()]++
		if r.Failed() {
			refusals[fmt.Sprintf("%d %s", r.Status, strings.TrimSpace(r.Error))]++
		}
		if r.Session != "" && r.Relay != "" {
			if sessions[r.Session] != "" && sessions[r.Session] != r.Relay {
				elsewhere++
			}
			sessions[r.Session] = r.Relay
		}
	}
	text := fmt.Sprintf("%d clients, sessions %v; requests %v, %d of them not where the session's last one went",
		len(c.all), events, requests, elsewhere)
	for _, why := range slices.Sorted(maps.Keys(refusals)) {
		text += fmt.Sprintf("\n%5d × %s", refusals[why], why)
	}
	if disturbed := c.disturbed(); len(disturbed) > 0 {
		text += fmt.Sprintf("\n%d sessions were disturbed by this machine's network", len(disturbed))
	}
	return text
}
