package metrics

import (
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// read returns what is served.
func read(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != 200 || !strings.HasPrefix(w.Result().Header.Get("Content-Type"), "text/plain") {
		t.Fatal(w.Code, w.Result().Header, err)
	}
	return string(body)
}

// Names, units and types are as Prometheus' guide has them, and nothing goes without help.
func TestConventions(t *testing.T) {
	var names []string
	for _, d := range List() {
		names = append(names, d.Name)
		total := strings.HasSuffix(d.Name, "_total")
		seconds := strings.HasSuffix(d.Name, "_seconds")
		if !strings.HasPrefix(d.Name, "setu_") || strings.ToLower(d.Name) != d.Name || total != (d.Type == "counter") || d.Type == "histogram" && !seconds {
			t.Error("name: ", d)
		}
		if !strings.HasSuffix(d.Help, ".") {
			t.Error("help: ", d)
		}
	}
	if slices.Sort(names); len(slices.Compact(names)) != len(List()) {
		t.Error("twice: ", names)
	}
	out := read(t, New())
	for _, name := range []string{"go_goroutines ", "process_open_fds ", "setu_deliveries_total 0\n", `setu_closes_total{reason="slow"} 0` + "\n"} {
		if !strings.Contains(out, "\n"+name) {
			t.Error("no ", name)
		}
	}
}

func TestCounting(t *testing.T) {
	m, other := New(), New()
	rooms := 7.0
	m.OnGather(func() { m.Rooms.Set(rooms) })
	m.Deliveries.Add(3)
	m.Closes.Of(CloseSlow).Inc()
	m.Closes.Of("made_up").Inc() // not known from the beginning
	m.Handshakes.Of(Polling, Handshake(LimitConnections)).Inc()
	m.Handshakes.Of(WebSocket, "made_up").Inc()
	m.RedisSeconds.Of("publish").Observe(0.03)
	m.BuildInfo.Tell("a", "b", "c")
	m.BuildInfo.Tell("v1", "1f3a", "go1.26")
	out := read(t, m)
	for _, line := range []string{"setu_rooms 7", "setu_deliveries_total 3", `setu_closes_total{reason="slow"} 1`, `setu_closes_total{reason="made_up"} 1`,
		`setu_handshakes_total{result="connections",transport="polling"} 1`, `setu_handshakes_total{result="made_up",transport="websocket"} 1`,
		`setu_redis_call_duration_seconds_bucket{call="publish",le="0.025"} 0`, `setu_redis_call_duration_seconds_bucket{call="publish",le="0.05"} 1`,
		`setu_build_info{goversion="go1.26",revision="1f3a",version="v1"} 1`} {
		if !strings.Contains(out, "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, out)
		}
	}
	if strings.Contains(out, `version="a"`) {
		t.Error("two builds")
	}
	if strings.Contains(read(t, other), "setu_deliveries_total 3") {
		t.Error("two share a count")
	}
}

func TestReadersMeetCounters(t *testing.T) {
	m := New()
	m.OnGather(func() { m.Ready.Set(1) })
	var all sync.WaitGroup
	for range readers {
		all.Go(func() { read(t, m) })
		all.Go(func() {
			for range 1000 {
				m.SentBytes.Of(WebSocket).Add(10)
				m.Resets.Of("epoch").Inc()
			}
		})
	}
	all.Wait()
	if !strings.Contains(read(t, m), `setu_sent_bytes_total{transport="websocket"} 40000`) {
		t.Error("counted wrong")
	}
}

// A relay's parts that are given no metrics make their own, which nobody reads.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		New()
	}
}

func BenchmarkCount(b *testing.B) {
	m := New()
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			m.Deliveries.Add(1000)
		}
	})
	b.Run("labeled", func(b *testing.B) {
		for b.Loop() {
			m.SentBytes.Of(WebSocket).Add(1000)
		}
	})
	b.Run("histogram", func(b *testing.B) {
		for b.Loop() {
			m.PublishSeconds.Observe(0.01)
		}
	})
	b.Run("histogram labeled", func(b *testing.B) {
		for b.Loop() {
			m.RedisSeconds.Of("publish").Observe(0.01)
		}
	})
}
