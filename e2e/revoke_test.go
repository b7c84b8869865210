package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"setu/e2e/cluster"
	"setu/e2e/nemesis"
	"setu/relay"
	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/broker/redis"
	"setu/relay/wiretest"
)

const revokeSecret = "a secret of the tests of 32 bytes or more"

// guarded is a fleet of three relays that want tokens, on a Redis of their own.
type guarded struct {
	t      *testing.T
	redis  *cluster.Redis
	relays []*nemesis.Relay
	auth   auth.Config
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	cluster.Require(t)
	cfg, err := relay.LoadConfig([]string{"AUTH_SECRET=" + revokeSecret})
	if err != nil {
		t.Fatal(err)
	}
	g := &guarded{t: t, auth: cfg.Auth(), redis: cluster.StartRedis(t, cluster.NewNetwork(t), cluster.RedisOptions{AppendOnly: true})}
	for _, name := range []string{"dublin", "tokyo", "lima"} {
		g.relays = append(g.relays, nemesis.StartRelay(t, name, wiretest.NewLink(t, g.redis.Address()), "AUTH_SECRET="+revokeSecret, "PRESENCE_LEASE=10s"))
	}
	return g
}

func (g *guarded) token(user string) string {
	g.t.Helper()
	rooms, _ := auth.ParseRooms("*:join,publish")
	token, err := g.auth.Mint(auth.Grant{UserID: user, Expires: time.Now().Add(time.Hour), Rooms: rooms})
	if err != nil {
		g.t.Fatal(err)
	}
	return token
}

// open makes a connection to a relay that has sent a CONNECT, and returns what that was answered.
func (g *guarded) open(r *nemesis.Relay, user string) (c *websocket.Conn, answer string) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, r.WS(), nil)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = c.CloseNow() })
	var said [2][]byte // the handshake, and the answer
	for i := range said {
		if i == 1 {
			err = c.Write(ctx, websocket.MessageText, []byte(`40{"token":"`+g.token(user)+`"}`))
		}
		if err == nil {
			_, said[i], err = c.Read(ctx)
		}
		if err != nil {
			g.t.Fatal(err)
		}
	}
	return c, string(said[1])
}

// listen answers heartbeats until the connection ends, and returns the last that it said.
func listen(ctx context.Context, c *websocket.Conn) (last string) {
	for {
		_, packet, err := c.Read(ctx)
		switch {
		case err != nil:
			return last
		case string(packet) == "2":
			_ = c.Write(ctx, websocket.MessageText, []byte("3")) // if it fails, so does the next Read
		case string(packet) != "41":
			last = string(packet)
		}
	}
}

// load has people talk over all relays, until end is called.
func (g *guarded) load() (end func()) {
	ctx, stop := context.WithCancel(g.t.Context())
	var talking sync.WaitGroup
	for i, r := range g.relays {
		for j := range 4 {
			c, _ := g.open(r, fmt.Sprint("talker", i, j))
			talking.Go(func() { listen(ctx, c) })
			talking.Go(func() {
				pace := time.NewTicker(20 * time.Millisecond)
				defer pace.Stop()
				for packet := `421["join",{"room":"busy"}]`; ; packet = `42["publish",{"room":"busy","data":"talk"}]` {
					if err := c.Write(ctx, websocket.MessageText, []byte(packet)); err != nil && ctx.Err() == nil {
						g.t.Error(err)
						return
					}
					select {
					case <-ctx.Done():
						return
					case <-pace.C:
					}
				}
			})
		}
	}
	return func() {
		stop()
		talking.Wait()
	}
}

// revoke revokes a user, and returns on how many relays it is known to hold.
func (g *guarded) revoke(user string) broker.Coverage {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	coverage, err := redis.Revoke(ctx, redis.Config{URL: g.redis.URL()}, broker.Revocation{User: user, Until: time.Now().Add(time.Hour).UnixMilli()})
	if !coverage.Stored {
		g.t.Fatalf("%+v, %v", coverage, err)
	}
	return coverage
}

// Who is revoked is cut off on every relay within a second, among people who talk, and stays so when all
// relays are killed and come back.
func TestRevokedOnEveryRelay(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	end := g.load()
	const rounds, connections = 15, 30
	var took []time.Duration
	for round := range rounds {
		user := fmt.Sprint("user", round)
		var open sync.WaitGroup
		for i := range connections {
			c, answer := g.open(g.relays[i%len(g.relays)], user)
			if !strings.HasPrefix(answer, "40{") {
				t.Fatal(answer)
			}
			open.Go(func() {
				if said := listen(t.Context(), c); !strings.Contains(said, `"code":"revoked"`) {
					t.Errorf("told %q", said)
				}
			})
		}
		began := time.Now()
		coverage := g.revoke(user)
		answered := time.Since(began)
		open.Wait()
		took = append(took, time.Since(began))
		t.Logf("%v, answered after %v: %+v", took[round], answered, coverage)
	}
	end()
	slices.Sort(took)
	t.Logf("until the last of %d connections on three relays was closed: p50 %v, max %v", connections, took[rounds/2], took[rounds-1])
	for _, r := range g.relays {
		r.Kill()
	}
	for i, r := range g.relays {
		r.Start()
		cluster.Eventually(t, patience, r.Name()+" is ready", func() error {
			if status := r.Status(); status != 200 {
				return fmt.Errorf("%d", status)
			}
			return nil
		})
		if _, answer := g.open(r, fmt.Sprint("user", i)); !strings.Contains(answer, `"code":"revoked"`) {
			t.Errorf("%s lets in who was revoked: %s", r.Name(), answer)
		}
		if _, answer := g.open(r, "somebody"); !strings.HasPrefix(answer, "40{") {
			t.Errorf("%s: %s", r.Name(), answer)
		}
	}
}

// A relay that was cut off from Redis applies what was revoked meanwhile before it delivers anything.
func TestRevokedWhileCutOff(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	away, near := g.relays[0], g.relays[1]
	c, _ := g.open(away, "asha")
	if err := c.Write(t.Context(), websocket.MessageText, []byte(`421["join",{"room":"a"}]`)); err != nil {
		t.Fatal(err)
	}
	for joined := false; !joined; {
		_, packet, err := c.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		joined = strings.HasPrefix(string(packet), "431")
	}
	away.Link.Set(wiretest.Quality{Down: true})
	if coverage := g.revoke("asha"); coverage.Unreached == 0 {
		t.Errorf("%+v", coverage)
	}
	ben, _ := g.open(near, "ben")
	for _, packet := range []string{`421["join",{"room":"a"}]`, `422["publish",{"room":"a","data":"after"}]`} {
		if err := ben.Write(t.Context(), websocket.MessageText, []byte(packet)); err != nil {
			t.Fatal(err)
		}
	}
	for stored := false; !stored; {
		_, packet, err := ben.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		stored = strings.HasPrefix(string(packet), `432[{"ok":true`)
	}
	away.Link.Set(wiretest.Quality{})
	for {
		_, packet, err := c.Read(t.Context())
		if err != nil || strings.Contains(string(packet), "after") {
			t.Fatalf("heard %s, %v, not that it was revoked", packet, err)
		}
		if strings.Contains(string(packet), `"code":"revoked"`) {
			break
		}
	}
	if last := listen(t.Context(), c); last != "" {
		t.Errorf("heard %q after that", last)
	}
}
