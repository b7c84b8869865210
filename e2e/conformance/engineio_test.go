package conformance

import (
	"context"
	"testing"
	"time"
)

// The suite of Socket.IO runs most of Engine.IO's cases again, at its own path: those are engine,
// and the rest is echoes.

func TestEngineIO(t *testing.T) {
	t.Parallel()
	t.Run("engine", func(t *testing.T) { engine(t, "/engine.io/") })
	t.Run("echoes", func(t *testing.T) { echoes(t) })
}

// engine are 16 cases, which both suites have.
func engine(t *testing.T, path string) {
	t.Parallel()
	handshakes(t, path)
	heartbeats(t, path)
	closes(t, path)
	upgrades(t, path)
}

func handshakes(t *testing.T, path string) {
	t.Run("handshake/HTTP long-polling", func(t *testing.T) {
		t.Parallel()
		s := serve(t, path)
		t.Run("successfully opens a session", func(t *testing.T) {
			status, content := s.ask(t, "GET", polling, "")
			if status != 200 {
				t.Error(status)
			}
			handshake(t, content, `["websocket"]`)
		})
		for name, bad := range map[string][][2]string{
			"fails with an invalid EIO query parameter":       {{"GET", "transport=polling"}, {"GET", "EIO=abc&transport=polling"}},
			"fails with an invalid transport query parameter": {{"GET", "EIO=4"}, {"GET", "EIO=4&transport=abc"}},
			"fails with an invalid request method":            {{"POST", polling}, {"PUT", polling}},
		} {
			t.Run(name, func(t *testing.T) {
				for _, b := range bad {
					s.wants(t, b[0], b[1], "", 400, "")
				}
			})
		}
	})
	t.Run("handshake/WebSocket", func(t *testing.T) {
		t.Parallel()
		s := serve(t, path)
		t.Run("successfully opens a session", func(t *testing.T) { handshake(t, s.dial(t, "").next(), `[]`) })
		t.Run("fails with an invalid EIO query parameter", func(t *testing.T) {
			s.refused(t, "transport=websocket")
			s.refused(t, "EIO=abc&transport=websocket")
		})
		t.Run("fails with an invalid transport query parameter", func(t *testing.T) {
			s.refused(t, "EIO=4")
			s.refused(t, "EIO=4&transport=abc")
		})
	})
}

func heartbeats(t *testing.T, path string) {
	t.Run("heartbeat/HTTP long-polling", func(t *testing.T) {
		t.Parallel()
		t.Run("sends ping and pong packets", func(t *testing.T) {
			t.Parallel()
			s := serve(t, path, "PING_TIMEOUT=10s")
			start := time.Now()
			query, _ := s.open(t)
			for range 3 {
				s.wants(t, "GET", query, "", 200, "2")
				s.wants(t, "POST", query, "3", 200, "ok")
			}
			if early := time.Since(start); early < 3*150*time.Millisecond { // each for itself may have waited for a client that stood still
				t.Errorf("three pings within %s", early)
			}
		})
		t.Run("closes the session upon ping timeout", func(t *testing.T) {
			t.Parallel()
			s := serve(t, path)
			query, _ := s.open(t)
			<-time.After(500 * time.Millisecond)
			s.wants(t, "GET", query, "", 400, "")
		})
	})
	t.Run("heartbeat/WebSocket", func(t *testing.T) {
		t.Parallel()
		t.Run("sends ping and pong packets", func(t *testing.T) {
			t.Parallel()
			k := serve(t, path, "PING_TIMEOUT=10s").dial(t, "")
			k.next()
			for range 3 {
				k.wants("2")
				k.send("3")
			}
		})
		t.Run("closes the session upon ping timeout", func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			serve(t, path).dial(t, "").closed()
			if took := time.Since(start); took < 500*time.Millisecond {
				t.Errorf("closed after %s", took)
			}
		})
	})
}

func closes(t *testing.T, path string) {
	t.Run("close/HTTP long-polling/forcefully closes the session", func(t *testing.T) {
		t.Parallel()
		s := serve(t, path, patient...)
		query, _ := s.open(t)
		waits := make(chan struct{})
		go func() {
			defer close(waits)
			if status, content, err := s.try(t.Context(), "GET", query, ""); status != 200 || content != "6" || err != nil {
				t.Errorf("the GET got %d %q %v", status, content, err)
			}
		}()
		s.wants(t, "POST", query, "1", 200, "ok")
		<-waits
		s.wants(t, "GET", query, "", 400, "")
	})
	t.Run("close/WebSocket/forcefully closes the session", func(t *testing.T) {
		t.Parallel()
		k := serve(t, path, patient...).dial(t, "")
		k.next()
		k.send("1")
		k.closed()
	})
}

// upgrades are the cases of the move; with the echo they show that messages go on.
func upgrades(t *testing.T, path string) {
	for name, after := range map[string]func(t *testing.T, s *server, query, sid string){
		"successfully upgrades from HTTP long-polling to WebSocket": func(*testing.T, *server, string, string) {},
		"ignores HTTP requests with same sid after upgrade": func(t *testing.T, s *server, query, _ string) {
			s.wants(t, "GET", query, "", 400, `{"code":3,"message":"Bad request"}`)
			s.wants(t, "POST", query, "4x", 400, `{"code":3,"message":"Bad request"}`)
		},
		"ignores WebSocket connection with same sid after upgrade": func(t *testing.T, s *server, _, sid string) {
			s.dial(t, sid).closed()
		},
	} {
		t.Run("upgrade/"+name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, path, patient...)
			query, sid := s.open(t)
			k := s.dial(t, sid)
			k.send("2probe")
			k.wants("3probe")
			s.wants(t, "GET", query, "", 200, "6")
			k.send("5")
			if path == "/engine.io/" {
				k.send("4moved")
				k.wants("4moved")
			} else {
				k.send("40/nowhere,")
				k.wants(`44/nowhere,{"message":"Invalid namespace"}`)
			}
			after(t, s, query, sid)
			if path == "/engine.io/" {
				k.send("4hello")
				k.wants("4hello")
			}
		})
	}
}

// echoes are the 9 cases of messages.
func echoes(t *testing.T) {
	t.Parallel()
	pollingEchoes(t, "/engine.io/")
	webSocketEchoes(t, "/engine.io/")
}

func pollingEchoes(t *testing.T, path string) {
	for name, body := range map[string]string{
		"sends and receives a payload containing one plain text packet":             "4hello",
		"sends and receives a payload containing several plain text packets":        "4test1\x1e4test2\x1e4test3",
		"sends and receives a payload containing plain text and binary packets":     "4hello\x1ebAQIDBA==",
		"and a payload of what JSON and HTTP might trip over, beyond the suite's":   "4\x1eb\x1e4\"\\\x00é😀\r\n\x1eb//8=",
		"and a payload of as many bytes as may be sent at once, beyond the suite's": "4" + string(make([]byte, 999_999)),
	} {
		t.Run("message/HTTP long-polling/"+name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, path, patient...)
			query, _ := s.open(t)
			s.wants(t, "POST", query, body, 200, "ok")
			s.wants(t, "GET", query, "", 200, body)
		})
	}
	t.Run("message/HTTP long-polling/closes the session upon invalid packet format", func(t *testing.T) {
		t.Parallel()
		s := serve(t, path, patient...)
		query, _ := s.open(t)
		s.wants(t, "POST", query, "abc", 400, "")
		s.wants(t, "GET", query, "", 400, "")
	})
	t.Run("message/HTTP long-polling/closes the session upon duplicate poll requests", func(t *testing.T) {
		t.Parallel()
		s := serve(t, path, patient...)
		query, _ := s.open(t)
		got := map[int]string{}
		answers := make(chan func(), 2)
		for range 2 { // whichever comes first
			go func() {
				status, content, err := s.try(t.Context(), "GET", query, "")
				answers <- func() { got[status] = content; _ = err }
			}()
		}
		(<-answers)()
		(<-answers)()
		if got[200] != "1" || got[400] == "" {
			t.Error(got)
		}
		s.wants(t, "GET", query, "", 400, "")
	})
	t.Run("message/HTTP long-polling/closes the session upon cancelled polling request", func(t *testing.T) {
		t.Parallel()
		s := serve(t, path, patient...)
		query, _ := s.open(t)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_, _, _ = s.try(ctx, "GET", query, "")
		}()
		<-time.After(100 * time.Millisecond) // it is to be waiting
		cancel()
		<-gone
		s.wants(t, "GET", query, "", 400, "")
	})
}

func webSocketEchoes(t *testing.T, path string) {
	t.Run("message/WebSocket", func(t *testing.T) {
		t.Parallel()
		s := serve(t, path, patient...)
		t.Run("sends and receives a plain text packet", func(t *testing.T) {
			k := s.dial(t, "")
			k.next()
			k.send("4hello")
			k.wants("4hello")
		})
		t.Run("sends and receives a binary packet", func(t *testing.T) {
			k := s.dial(t, "")
			k.next()
			k.sendBytes(1, 2, 3, 4)
			k.wants("bytes:\x01\x02\x03\x04")
		})
		t.Run("closes the session upon invalid packet format", func(t *testing.T) {
			k := s.dial(t, "")
			k.next()
			k.send("abc")
			k.closed()
		})
	})
}
