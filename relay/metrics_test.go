package relay

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
	"setu/relay/metrics"
	"setu/relay/wiretest"
)

// measured is one thing that happens to a relay, and what its metrics say then.
type measured struct {
	what   string
	want   map[string]float64                         // by series
	do     func(t *testing.T, r *rig)                 // in a bubble
	broker func(t *testing.T, c Config) broker.Broker // nil: memory alone
	pairs  []string                                   // settings
}

func outages(_ *testing.T, c Config) broker.Broker {
	return &outage{Memory: broker.NewMemory(c.Limits())}
}

func tapped(_ *testing.T, c Config) broker.Broker {
	return &tap{Memory: broker.NewMemory(c.Limits()), subs: map[string]broker.Subscriber{}}
}

// story is one measured for each metric at least that a relay without Redis has.
var story = []measured{
	{what: "a client by WebSocket", do: func(t *testing.T, r *rig) { r.guest("a") }, want: map[string]float64{
		`setu_connections{transport="websocket"}`: 1, `setu_connections{transport="polling"}`: 0, `setu_handshakes_total{result="ok",transport="websocket"}`: 1,
		`setu_connects_total{result="new"}`: 1, "setu_ready": 1}},
	{what: "the server API", do: func(t *testing.T, r *rig) { r.api(t).want(200, "GET", "rooms", "") }, want: map[string]float64{
		`setu_api_requests_total{class="2xx",operation="rooms"}`: 1, `setu_api_requests_total{class="4xx",operation="none"}`: 0}, pairs: []string{apiKeys}},
	{what: "a client by polling", do: func(t *testing.T, r *rig) { r.pollingGuest("a") }, want: map[string]float64{
		`setu_connections{transport="polling"}`: 1, `setu_handshakes_total{result="ok",transport="polling"}`: 1, `setu_received_bytes_total{transport="polling"}`: 14}},
	{what: "upgrades", do: upgrades, want: map[string]float64{
		`setu_connections{transport="websocket"}`: 1, `setu_connections{transport="polling"}`: 0, `setu_handshakes_total{result="ok",transport="polling"}`: 1,
		`setu_upgrades_total{result="ok"}`: 1, `setu_upgrades_total{result="failed"}`: 1, `setu_upgrades_total{result="refused"}`: 1, `setu_closes_total{reason="client"}`: 0}},
	{what: "a goodbye", do: func(t *testing.T, r *rig) {
		p := r.guest("a")
		p.Write(wiretest.ClientFrame(0x80|wiretest.OpClose, []byte{3, 232}))
		p.EOF()
		q := r.pollingGuest("b")
		q.Say("1")
	}, want: map[string]float64{`setu_closes_total{reason="client"}`: 2, `setu_connections{transport="websocket"}`: 0}},
	{what: "a broken connection", do: func(t *testing.T, r *rig) { _ = r.guest("a").Conn.Close() }, want: map[string]float64{
		`setu_closes_total{reason="transport_error"}`: 1, `setu_closes_total{reason="client"}`: 0}},
	{what: "silence", do: func(t *testing.T, r *rig) { r.guest("a"); <-time.After(time.Minute) }, want: map[string]float64{
		`setu_closes_total{reason="ping_timeout"}`: 1}},
	{what: "no CONNECT", do: func(t *testing.T, r *rig) { r.Open().EOF() }, want: map[string]float64{
		`setu_closes_total{reason="connect_timeout"}`: 1}, pairs: []string{"CONNECT_TIMEOUT=1s"}},
	{what: "nonsense", do: func(t *testing.T, r *rig) { p := r.guest("a"); p.Text("nonsense"); p.EOF() }, want: map[string]float64{
		`setu_closes_total{reason="protocol_error"}`: 1}},
	{what: "much too much", do: func(t *testing.T, r *rig) {
		p := r.guest("a")
		go func() { _, _ = p.Conn.Write(wiretest.ClientFrame(0x80|wiretest.OpText, make([]byte, 20_000))) }()
		p.EOF()
	}, want: map[string]float64{`setu_closes_total{reason="too_large"}`: 1, `setu_refusals_total{limit="payload"}`: 1}, pairs: []string{"MAX_PAYLOAD=1000"}},
	{what: "a drain", do: func(t *testing.T, r *rig) {
		p := r.guest("a")
		go func() { p.Closed(); p.EOF() }()
		_ = r.srv.Shutdown(t.Context())
		r.Request("GET", polling, nil)
	}, want: map[string]float64{`setu_closes_total{reason="drain"}`: 1, `setu_handshakes_total{result="draining",transport="polling"}`: 1, "setu_ready": 0}},
	{what: "a slow member", do: func(t *testing.T, r *rig) {
		r.member("a", "room") // reads no more
		for i := range 20 {
			r.broker.Publish(t.Context(), broker.Publication{Room: "room", User: "u", ID: fmt.Sprint(i), Body: `"data":"` + strings.Repeat("x", 10_000) + `"`})
			synctest.Wait()
		}
	}, want: map[string]float64{`setu_closes_total{reason="slow"}`: 1}, pairs: []string{"OUTBOX_BYTES=65536"}},
	{what: "what waits", do: func(t *testing.T, r *rig) {
		r.member("a", "room")
		r.broker.Publish(t.Context(), broker.Publication{Room: "room", User: "u", ID: "1", Body: `"data":"` + strings.Repeat("x", 10_000) + `"`})
	}, want: map[string]float64{"setu_rooms": 1, "setu_deliveries_total": 1, "setu_outbox_bytes": -1}},
	{what: "publishes", do: func(t *testing.T, r *rig) {
		r.guest("b").Call("join", `{"room":"room"}`)
		p := r.member("a", "room")
		p.Call("publish", `{"room":"room","id":"1","data":1}`)
		p.Call("publish", `{"room":"room","id":"1","data":1}`)
		p.Call("publish", `{"room":"room","id":"","data":1}`)
		p.Call("publish", `{"room":"elsewhere","data":1}`)
	}, want: map[string]float64{`setu_publishes_total{result="stored"}`: 1, `setu_publishes_total{result="duplicate"}`: 1, `setu_publishes_total{result="refused"}`: 2,
		`setu_publishes_total{result="unavailable"}`: 0, "setu_deliveries_total": 2, "setu_publish_duration_seconds_count": 2}},
	{what: "a publish that fails", broker: outages, do: func(t *testing.T, r *rig) {
		p := r.member("a", "room")
		r.broker.(*outage).down.Store(true)
		p.Call("publish", `{"room":"room","id":"1","data":1}`)
	}, want: map[string]float64{`setu_publishes_total{result="unavailable"}`: 1, `setu_publishes_total{result="stored"}`: 0}},
	{what: "sessions that go on", do: func(t *testing.T, r *rig) {
		s := r.returning("")
		s.Call("join", `{"room":"a"}`)
		old := s.Peer
		s.again()
		old.EOF()
		s.cut()
		s.pid = strings.Repeat("x", 26)
		s.again()
	}, want: map[string]float64{`setu_recoveries_total{by="pid",outcome="recovered"}`: 1, `setu_recoveries_total{by="pid",outcome="gone"}`: 1,
		`setu_connects_total{result="recovered"}`: 1, `setu_connects_total{result="new"}`: 2, `setu_closes_total{reason="replaced"}`: 1}},
	{what: "a session of which nothing is known now", broker: outages, do: func(t *testing.T, r *rig) {
		s := r.returning("")
		s.cut()
		r.broker.(*outage).down.Store(true)
		p := r.Open()
		p.Packet() // the handshake
		p.Text(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, s.pid, s.offset))
		p.Closed()
		p.EOF()
	}, want: map[string]float64{`setu_recoveries_total{by="pid",outcome="unavailable"}`: 1, `setu_connects_total{result="come_back"}`: 1,
		`setu_closes_total{reason="come_back"}`: 1, `setu_refusals_total{limit="come_back"}`: 1}},
	{what: "joins that go on", broker: outages, do: func(t *testing.T, r *rig) {
		p := r.guest("a")
		at := wiretest.Field(t, p.Call("join", `{"room":"room"}`), "offset")
		join := fmt.Sprintf(`{"room":"room","since":%s}`, at)
		p.Call("join", join)
		p.Call("join", `{"room":"room","since":"`+strings.Repeat("a", 10)+`.1.1.aaaaaaaaaaaa"}`)
		p.Call("join", `{"room":"room"}`)
	}, want: map[string]float64{`setu_recoveries_total{by="since",outcome="recovered"}`: 1, `setu_recoveries_total{by="since",outcome="gone"}`: 1}},
	{what: "a reset", broker: tapped, do: func(t *testing.T, r *rig) {
		r.member("a", "room")
		r.member("b", "room")
		tail, _ := r.srv.hub.Tail("room")
		r.broker.(*tap).subscriber("room").Load(broker.Snapshot{Tail: tail}, broker.ReasonTrimmed)
	}, want: map[string]float64{`setu_resets_total{reason="trimmed"}`: 2, `setu_resets_total{reason="epoch"}`: 0}},
	{what: "refusals", do: func(t *testing.T, r *rig) {
		r.Request("GET", polling, http.Header{"Origin": {"https://evil.example"}})
		r.Request("GET", Path+"?EIO=3&transport=polling", nil)
		r.Request("GET", Path+"?EIO=4&transport=websocket", nil)
		r.Request("PUT", polling, nil)
		r.Request("GET", polling+"&sid=x", nil)
		r.Request("GET", Path+"?EIO=4&transport=pigeon", nil)
		p := r.Open()
		p.Packet()
		p.Text("40/nowhere,")
		p.Packet()
		r.Request("GET", polling, nil)
	}, want: map[string]float64{`setu_refusals_total{limit="origin"}`: 1, `setu_refusals_total{limit="version"}`: 1, `setu_refusals_total{limit="no_upgrade"}`: 1,
		`setu_refusals_total{limit="request"}`: 2, `setu_refusals_total{limit="session"}`: 1, `setu_refusals_total{limit="connections"}`: 1,
		`setu_refusals_total{limit="namespace"}`: 1, `setu_connects_total{result="refused"}`: 1,
		`setu_handshakes_total{result="origin",transport="polling"}`: 1, `setu_handshakes_total{result="version",transport="polling"}`: 1,
		`setu_handshakes_total{result="no_upgrade",transport="websocket"}`: 1, `setu_handshakes_total{result="request",transport="polling"}`: 1,
		`setu_handshakes_total{result="connections",transport="polling"}`: 1, `setu_handshakes_total{result="ok",transport="websocket"}`: 1}, pairs: []string{"MAX_CONNECTIONS=1"}},
	{what: "a flood", do: func(t *testing.T, r *rig) {
		p := r.member("a", "room")
		for range 3 {
			p.Call("publish", `{"room":"room","data":1}`)
		}
		floodUntilClosed(t, p, `42["ping",{}]`)
		<-time.After(10 * time.Second) // it may take its time to read why
	}, want: map[string]float64{`setu_refusals_total{limit="user_rate"}`: 2, `setu_publishes_total{result="rate_limited"}`: 2, `setu_refusals_total{limit="rate"}`: -1,
		`setu_refusals_total{limit="rate_limited"}`: -1, `setu_refusals_total{limit="excess"}`: 1, `setu_closes_total{reason="rate_limited"}`: 1,
		`setu_closes_total{reason="server"}`: 0}, pairs: []string{"USER_PUBLISH_RATE=1/s", "EVENT_RATE=10/s"}},
	{what: "a flood of bytes", do: func(t *testing.T, r *rig) {
		p := r.guest("a")
		for range 5 {
			p.Call("ping", `{"x":"`+strings.Repeat("x", 900)+`"}`)
		}
	}, want: map[string]float64{`setu_refusals_total{limit="bytes"}`: 1, `setu_refusals_total{limit="rate_limited"}`: 1},
		pairs: []string{"BYTES_RATE=1/s:4000", "MAX_PAYLOAD=1000"}},
	{what: "too many of a user, and of members", do: func(t *testing.T, r *rig) {
		r.member("a", "room")
		p := r.Open()
		p.Connect(`{"key":"0123456789abcdef"}`)
		p.Call("join", `{"room":"room"}`)
		r.refused(`{"key":"0123456789abcdef"}`)
	}, want: map[string]float64{`setu_refusals_total{limit="full"}`: 1, `setu_refusals_total{limit="user_connections"}`: 1, `setu_refusals_total{limit="rate_limited"}`: 1,
		`setu_connects_total{result="refused"}`: 1}, pairs: []string{"MAX_MEMBERS=1", "MAX_USER_CONNECTIONS=1"}},
	{what: "too many from an address", do: func(t *testing.T, r *rig) {
		r.guest("a")
		r.Request("GET", polling, nil)
	}, want: map[string]float64{`setu_refusals_total{limit="address_connections"}`: 1, `setu_handshakes_total{result="address_connections",transport="polling"}`: 1},
		pairs: []string{"MAX_ADDRESS_CONNECTIONS=1"}},
	{what: "too many unconnected", do: func(t *testing.T, r *rig) {
		r.Open()
		r.Request("GET", polling, nil)
	}, want: map[string]float64{`setu_refusals_total{limit="unconnected"}`: 1, `setu_handshakes_total{result="unconnected",transport="polling"}`: 1},
		pairs: []string{"MAX_UNCONNECTED=4"}},
	{what: "too many handshakes", do: func(t *testing.T, r *rig) {
		r.Poll()
		r.Request("GET", polling, nil)
		r.Request("GET", polling+"&sid=x", nil)
	}, want: map[string]float64{`setu_refusals_total{limit="address_handshakes"}`: 2, `setu_handshakes_total{result="address_handshakes",transport="polling"}`: 1},
		pairs: []string{"HANDSHAKE_RATE=1/s"}},
	{what: "too many handshakes in all", do: func(t *testing.T, r *rig) {
		r.Poll()
		r.Request("GET", polling, nil)
	}, want: map[string]float64{`setu_refusals_total{limit="handshakes"}`: 1, `setu_handshakes_total{result="handshakes",transport="polling"}`: 1},
		pairs: []string{"HANDSHAKES_RATE=1/s"}},
}

func upgrades(t *testing.T, r *rig) {
	p := r.pollingGuest("a")
	k := wiretest.UpgradeTo(t, r.Dial(), p.SID)
	k.Text("nonsense")
	k.EOF()
	k = r.Probe(p)
	k.Text("5")
	k.Text(`420["ping",{}]`)
	k.Packet()
	wiretest.UpgradeTo(t, r.Dial(), p.SID).EOF()
}

// Each metric moves by what it is there for, and by nothing that happens beside it.
func TestMetricsMove(t *testing.T) {
	moved := map[string]bool{}
	for _, m := range story {
		t.Run(m.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b broker.Broker
				if m.broker != nil {
					b = m.broker(t, settings(t))
				}
				l := wiretest.NewPipes()
				r := newRig(t, l, l.Dial, b, m.pairs...)
				defer func() { r.close(); <-time.After(time.Second) }()
				m.do(t, r)
				synctest.Wait()
				got := wiretest.Series(t, r.srv.Metrics().Handler())
				for series, want := range m.want {
					v, there := got[series]
					if !there || v != want && (want >= 0 || v <= 0) { // -1: more than nothing
						t.Errorf("%s is %v (%v), want %v", series, v, there, want)
					}
					if v > 0 {
						moved[nameOf(series)] = true
					}
				}
				for _, series := range []string{`setu_sent_bytes_total{transport="websocket"}`, `setu_received_bytes_total{transport="websocket"}`} {
					moved[nameOf(series)] = moved[nameOf(series)] || got[series] > 0
				}
			})
		})
	}
	elsewhere := map[string]string{
		"setu_redis_call_duration_seconds": "broker/redis", "setu_redis_errors_total": "broker/redis", "setu_subscription_lag_seconds": "broker/redis",
		"setu_catch_ups_total": "broker/redis", "setu_forwards_total": "TestForwardsAreCounted", "setu_hook_requests_total": "TestHooksAreCounted",
		"setu_hook_duration_seconds": "TestHooksAreCounted", "setu_hook_breaker_open": "TestHooksAreCounted",
		"setu_presence_notices_total": "hook", "setu_presence_notice_duration_seconds": "hook", "setu_build_info": "main",
	}
	for _, d := range metrics.List() {
		if !moved[d.Name] && elsewhere[d.Name] == "" {
			t.Errorf("nothing here moves %s", d.Name)
		}
	}
}

// nameOf returns the name of a series' metric.
func nameOf(series string) string {
	name, _, _ := strings.Cut(series, "{")
	return strings.TrimSuffix(name, "_count")
}

// What is read and written is counted to the byte.
func TestBytesAreCounted(t *testing.T) {
	for name, run := range map[string]func(t *testing.T, test func(t *testing.T, r *rig)){
		"pipes": func(t *testing.T, test func(t *testing.T, r *rig)) { overPipes(t, test) },
		"TCP":   func(t *testing.T, test func(t *testing.T, r *rig)) { test(t, overTCP(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, r *rig) {
				p := r.member("a", "room")
				sent, received := `setu_sent_bytes_total{transport="websocket"}`, `setu_received_bytes_total{transport="websocket"}`
				before := wiretest.Series(t, r.srv.Metrics().Handler())
				p.Text(`42["ping",{},"` + strings.Repeat("x", 1000) + `"]`) // answered by nobody
				p.Call("publish", `{"room":"room","id":"1","data":"`+strings.Repeat("y", 70_000)+`"}`)
				message := p.Packet() // of more than 64 KiB
				p.Call("ping", `{}`)
				var after map[string]float64
				for end := time.Now().Add(patience); ; <-time.After(time.Millisecond) { // a write is counted once it is through
					after = wiretest.Series(t, r.srv.Metrics().Handler())
					if after[sent]-before[sent] >= float64(len(message)) || time.Now().After(end) {
						break
					}
				}
				if n := after[received] - before[received]; n < 71_000 || n > 71_300 {
					t.Errorf("%v bytes received", n)
				}
				if n := after[sent] - before[sent]; n < float64(len(message))+10 || n > float64(len(message))+700 {
					t.Errorf("%v bytes sent, for a message of %d", n, len(message))
				}
			})
		})
	}
}

// Requests that another relay serves are counted where they came, by what came of them.
func TestForwardsAreCounted(t *testing.T) {
	d := newDirectory()
	one, url := d.join(t)
	_, home := d.join(t)
	sid := sidOf(t, home)
	request(t, t.Context(), "POST", url+polling+"&sid="+sid, "3")
	request(t, t.Context(), "POST", url+polling+"&sid="+sid, "3")
	_ = one.srv.Shutdown(func() context.Context { ctx, cancel := context.WithCancel(t.Context()); cancel(); return ctx }())
	got := wiretest.Series(t, one.srv.Metrics().Handler())
	if n := got[`setu_forwards_total{mode="proxy",result="ok"}`]; n != 2 {
		t.Errorf("%v forwards", n)
	}
}

// Whatever clients say, none of it becomes a label's value, and no series is added for it.
func TestNoLabelIsAClientsToChoose(t *testing.T) {
	const odd = `od"d\x` + "<>"
	quoted := strings.ReplaceAll(strings.ReplaceAll(odd, `\`, `\\`), `"`, `\"`)
	overPipes(t, func(t *testing.T, r *rig) {
		speak := func(odd, quoted string) {
			up := http.Header{"Upgrade": {odd}, "Connection": {odd}, "Sec-Websocket-Protocol": {odd}}
			for _, path := range []string{polling, Path + "?EIO=" + quoted, Path + "?EIO=4&transport=odd", polling + "&sid=odd.aaaaaaaaaa", polling + "&t=odd&sid=odd", "/odd", "/socket.io/odd"} {
				path = strings.NewReplacer(`"`, "%22", `\`, "%5c", "<", "%3c", ">", "%3e").Replace(path)
				for _, method := range []string{"GET", "POST", "OPTIONS", "ODD"} {
					r.Request(method, path, http.Header{"Origin": {"https://" + odd}, "Host": {odd}, "X-Forwarded-For": {odd}, "User-Agent": {odd}, "Setu-Forwarded": {odd}})
					r.Request(method, path, up)
				}
			}
			p := r.Open()
			p.Packet()
			p.Text("40/odd"+odd+",", `40{"name":"`+quoted+`","key":"`+strings.Repeat("odd-", 5)+`"}`)
			p.Packet()
			p.Packet()
			p.Packet()
			for _, event := range []string{"join", "publish", "signal", "history", "members", "leave", quoted} {
				for _, room := range []string{quoted, "room"} {
					p.Call(event, `{"room":"`+room+`","id":"`+quoted+`","data":"`+quoted+`","since":"`+quoted+`","before":"`+quoted+`"}`)
				}
			}
			p.Text("odd" + odd)
			p.EOF()
		}
		speak("plain", "plain") // so that every series is there that such requests bring about
		before := wiretest.Series(t, r.srv.Metrics().Handler())
		speak(odd, quoted)
		for series := range wiretest.Series(t, r.srv.Metrics().Handler()) {
			if _, there := before[series]; !there {
				t.Errorf("a series was added: %s", series)
			}
			if strings.Contains(series, "odd") || strings.Contains(series, "plain") || strings.Contains(series, "<>") {
				t.Errorf("a client's text: %s", series)
			}
		}
	})
}

// The README's table is what is counted: names, types, labels and their values.
func TestReadmeHasTheMetrics(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` |"); ok && strings.HasPrefix(line, "| `setu_") {
			rows[name] = line
		}
	}
	for _, d := range metrics.List() {
		labels := ""
		if len(d.Labels) > 0 {
			labels = "`" + strings.Join(d.Labels, "`, `") + "` "
		}
		if want := "| `" + d.Name + "` | " + d.Type + " | " + labels + "| "; !strings.HasPrefix(rows[d.Name], want) {
			t.Errorf("no row %q", want)
		}
		for series := range wiretest.Series(t, metrics.New().Handler()) {
			_, labels, _ := strings.Cut(series, "{")
			if nameOf(series) != d.Name {
				continue
			}
			for pair := range strings.SplitSeq(strings.TrimSuffix(labels, "}"), ",") {
				if _, value, ok := strings.Cut(pair, "="); ok && !strings.Contains(rows[d.Name], "`"+strings.Trim(value, `"`)+"`") {
					t.Errorf("%s: the row does not have %s", d.Name, pair)
				}
			}
		}
		delete(rows, d.Name)
	}
	for name := range rows {
		t.Errorf("nothing counts %s", name)
	}
}

func TestHooksAreCounted(t *testing.T) {
	r, a := hooked(t, always(200, ""), "HOOK_EVENTS=event")
	p := r.guest("ann")
	p.Call("e", "1")
	a.says(always(403, `{"code":"no"}`))
	p.Call("e", "1")
	for _, answer := range []func(question) (int, string){always(500, ""), always(200, "x")} {
		a.says(answer)
		p.Call("e", "1")
	}
	a.says(always(503, "")) // tried twice each
	for range 12 {
		p.Call("e", "1")
	}
	got := wiretest.Series(t, r.srv.Metrics().Handler())
	for outcome, want := range map[string]float64{"ok": 1, "refused": 1, "malformed": 1, "status": 7, "open": 2, "failed": 0, "timeout": 0, "busy": 0} {
		if n := got[`setu_hook_requests_total{outcome="`+outcome+`",type="event"}`]; n < want || want == 0 && n > 0 {
			t.Errorf("%s: %v", outcome, n)
		}
	}
	if got[`setu_hook_breaker_open{lane="asked"}`] != 1 || got[`setu_hook_breaker_open{lane="told"}`] != 0 || got[`setu_hook_duration_seconds_count{type="event"}`] < 10 {
		t.Error(got)
	}
}
