package client

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"setu/e2e/cluster"
	"setu/e2e/judge"
	"setu/relay"
	"setu/relay/broker"
)

// Whatever carries them, a client says and hears text and bytes, goes on with its session when it is cut,
// and has the acks that it loses made good.
func TestTransports(t *testing.T) {
	endpoint := serve(t)
	for _, transport := range []Transport{WebSocket, Polling, Upgrading} {
		t.Run(transport.String(), func(t *testing.T) {
			history := judge.Record(t, judge.Rules{Kept: 256})
			asha := Connect(t, Options{Name: "asha", Relays: []string{endpoint}, History: history, Transport: transport, Resume: true})
			ben := Connect(t, Options{Name: "ben", Relays: []string{endpoint}, History: history})
			for _, m := range []*Client{asha, ben} {
				m.Join(t.Name(), JoinOptions{})
			}
			both := func(id string) { t.Helper(); asha.AwaitMessage(t.Name(), id); ben.AwaitMessage(t.Name(), id) }
			both(asha.Say(t.Name(), "text").ID)
			both(ben.Say(t.Name(), []any{Bytes([]byte{0, 255}), "and", Bytes(nil)}).ID)
			both(asha.Say(t.Name(), Bytes([]byte(strings.Repeat("long", 1000)))).ID)
			upgrades(t, asha)
			asha.Cut()
			both(ben.Say(t.Name(), Bytes([]byte{1, 2})).ID)
			asha.LoseAcks(2)
			both(asha.Say(t.Name(), "stored and said again").ID)
			both(asha.Say(t.Name(), "perhaps stored").ID)
			if lost, stored := asha.LostAcks(); lost != 2 || stored < 1 || asha.Resumed() < 3 {
				t.Errorf("%d acks lost, %d of what was stored; went on with the session %d times", lost, stored, asha.Resumed())
			}
			upgrades(t, asha)
			if verdict := history.Judge(); len(verdict.Faults) > 0 {
				t.Error(verdict)
			}
		})
	}
}

// upgrades waits until a client that upgrades has.
func upgrades(t *testing.T, m *Client) {
	t.Helper()
	if m.Transport() != Upgrading {
		return
	}
	cluster.Eventually(t, patience, "upgraded", func() error {
		if !m.Upgraded() {
			return errors.New("it polls")
		}
		return nil
	})
}

// serve starts a relay in this process.
func serve(t *testing.T) (endpoint string) {
	t.Helper()
	cfg, err := relay.LoadConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	store := broker.NewMemory(cfg.Limits())
	srv, err := relay.New(cfg, store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx)
		web.Close()
		_ = store.Close(context.Background())
	})
	return "ws" + strings.TrimPrefix(web.URL, "http") + "/socket.io/?EIO=4&transport=websocket"
}

func TestBodies(t *testing.T) {
	packets := []packet{text(`451-["a",{"_placeholder":true,"num":0}]`), {true, []byte{0, 255}}, text("3")}
	wire := "451-[\"a\",{\"_placeholder\":true,\"num\":0}]\x1ebAP8=\x1e3"
	if got := join(packets); got != wire {
		t.Errorf("%q", got)
	}
	back, err := split([]byte(wire))
	if err != nil || join(back) != wire {
		t.Errorf("%v, %v", back, err)
	}
	for _, bad := range []string{"", "2\x1e", "b!", strings.Repeat("2\x1e", mostPackets) + "2"} {
		if got, err := split([]byte(bad)); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}
