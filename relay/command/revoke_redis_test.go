package command

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"setu/relay"
	"setu/relay/auth"
	"setu/relay/broker/redis"
	"setu/relay/wiretest"
)

// startRedis starts a Redis on a Unix socket, and returns its URL.
func startRedis(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	c := exec.Command("redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", filepath.Dir(socket))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	for end := time.Now().Add(time.Minute); ; <-time.After(5 * time.Millisecond) {
		if c, err := net.Dial("unix", socket); err == nil { // it is there before anybody listens
			_ = c.Close()
			return "unix://" + socket
		}
		if time.Now().After(end) {
			t.Fatal("redis-server does not listen")
		}
	}
}

// startRelay serves with these settings until the test ends.
func startRelay(t *testing.T, cfg relay.Config) wiretest.Dialer {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := redis.Open(redis.Config{URL: cfg.RedisURL, Prefix: cfg.RedisPrefix, Lease: cfg.PresenceLease, Limits: cfg.Limits(), Self: cfg.Peer()}, log)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := relay.New(cfg, b, log)
	if err != nil {
		t.Fatal(err)
	}
	l, dial := wiretest.ListenTCP(t)
	web := &http.Server{Handler: srv}
	go func() { _ = web.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		_ = srv.Shutdown(ctx)
		_ = web.Close()
		_ = b.Close(context.Background())
	})
	for end := time.Now().Add(time.Minute); b.Ready() != nil && time.Now().Before(end); {
		<-time.After(5 * time.Millisecond)
	}
	return wiretest.Dialer{T: t, New: dial}
}

// connect connects a client, and returns its sid.
func connect(p *wiretest.Peer, auth string) (sid string) {
	p.T.Helper()
	p.Packet()
	p.Text("40" + auth)
	sid = wiretest.Field(p.T, strings.TrimPrefix(p.Packet(), "40"), "sid")
	p.Packet() // welcome
	return strings.Trim(sid, `"`)
}

// Who is revoked is told, on the relays that have registered under the prefix; where there is none, setu
// revoke says so. After --reauth a token that was issued later is good.
func TestRevokeOverRedis(t *testing.T) {
	environ := []string{"REDIS_URL=" + startRedis(t), "AUTH_SECRET=s3cr3t that only tests have and nobody else", "AUTH=open"}
	cfg, err := relay.LoadConfig(environ)
	if err != nil {
		t.Fatal(err)
	}
	revoke := func(want string, args ...string) (warned string) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; {
			var out, warn strings.Builder
			err := Revoke(cfg, args, &out, &warn)
			if err == nil && strings.Contains(out.String(), want) {
				return warn.String()
			}
			if err == nil || time.Now().After(end) { // else a relay stood still, and has not said that it holds it
				t.Fatal(out.String(), warn.String(), err)
			}
		}
	}
	if warned := revoke("hold it 0, not reached yet 0", "--user", "nobody"); !strings.Contains(warned, `no relay has registered under the REDIS_PREFIX "setu"`) {
		t.Errorf("warned %q", warned)
	}
	clients := startRelay(t, cfg)

	guest := clients.Open()
	sid := connect(guest, "")
	if warned := revoke("hold it 1, not reached yet 0", "--session", sid); warned != "" {
		t.Error(warned)
	}
	if told := guest.Packet(); !strings.Contains(told, `"code":"revoked"`) {
		t.Error(told)
	}

	mint := func() string {
		rooms, _ := auth.ParseRooms("*:join")
		token, err := cfg.Auth().Mint(auth.Grant{UserID: "u", Expires: time.Now().Add(time.Hour), Rooms: rooms})
		if err != nil {
			t.Fatal(err)
		}
		return `{"token":"` + token + `"}`
	}
	user := clients.Open()
	connect(user, mint())
	revoke("hold it 1", "--user", "u", "--reauth")
	if s := user.Packet(); !strings.HasPrefix(s, `421["token_expires"`) {
		t.Error("asked ", s)
	}
	if answer := user.Call("token", mint()); wiretest.Field(t, answer, "ok") != "true" {
		t.Error("a newer token: ", answer)
	}

	guest = clients.Open()
	welcome, _ := guest.Connect("")
	revoke("hold it 1", "--user", welcome.User.ID)
	if told := guest.Packet(); !strings.Contains(told, `"code":"revoked"`) {
		t.Error(told)
	}
}

func TestRevokeHelp(t *testing.T) {
	var out strings.Builder
	if err := Revoke(relay.Config{AuthMaxTTL: time.Hour}, []string{"-h"}, &out, io.Discard); err != nil || !strings.HasPrefix(out.String(), "setu revoke --user ID |") {
		t.Error(out.String(), err)
	}
}
