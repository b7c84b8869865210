package main

import (
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"setu/relay"
	"setu/relay/auth"
)

const secretSetting = "AUTH_SECRET=s3cr3t that only tests have and nobody else"

func TestTokenCommand(t *testing.T) {
	environ := []string{secretSetting, "AUTH_ISSUER=me", "AUTH_AUDIENCE=chat"}
	var out strings.Builder
	err := run([]string{"token", "--sub", "u1", "--name", "Asha", "--rooms", "lobby:join,publish team-*:join", "-ttl", "10m", "--jti=t1"}, environ, &out)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := relay.LoadConfig(environ)
	if err != nil {
		t.Fatal(err)
	}
	v, err := auth.New(cfg.Auth(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	token, alone := strings.CutSuffix(out.String(), "\n")
	g, err := v.Verify(t.Context(), token)
	if err != nil || !alone {
		t.Fatalf("%q: %v", out.String(), err)
	}
	if g.UserID != "u1" || g.Name != "Asha" || g.TokenID != "t1" || g.Rooms.String() != "lobby:join,publish team-*:join" || g.Expires.Sub(g.Issued) != 10*time.Minute {
		t.Errorf("%+v", g)
	}
	var other strings.Builder
	if err := run([]string{"token", "--sub", "u1"}, environ, &other); err != nil {
		t.Fatal(err)
	}
	if g, err := v.Verify(t.Context(), strings.TrimSpace(other.String())); err != nil || g.TokenID == "" || g.Expires.Sub(g.Issued) != time.Hour || !g.Rooms.IsZero() {
		t.Errorf("%+v %v", g, err)
	}
}

func TestTokenCommandRefuses(t *testing.T) {
	for args, why := range map[string]string{
		"":                            "sub is missing",
		"--sub ~u":                    "must not begin",
		"--sub u1 --ttl 721h":         "good for longer than 720h",
		"--sub u1 --ttl -1h":          "end before it begins",
		"--sub u1 --ttl day":          "ttl",
		"--sub u1 --rooms lobby":      "--rooms",
		"--sub u1 --rooms a:join b:x": "want quotes",
		"--sub u1 --admin":            "admin",
	} {
		err := run(append([]string{"token"}, strings.Fields(args)...), []string{secretSetting}, io.Discard)
		if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", args, err)
		}
	}
	if err := run([]string{"token", "--sub", "u1"}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "AUTH_SECRET is not set") {
		t.Error(err)
	}
	var out strings.Builder
	if err := run([]string{"token", "-h"}, nil, &out); err != nil || !strings.Contains(out.String(), "-rooms rules") {
		t.Errorf("%s %v", &out, err)
	}
}

func TestRevokeNeedsRedis(t *testing.T) {
	err := run([]string{"revoke", "--user", "u"}, nil, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "REDIS_URL") {
		t.Error(err)
	}
	err = run([]string{"revoke", "--user", "u"}, []string{"REDIS_URL=redis://:hidden@127.0.0.1:1"}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "revoked nothing") || strings.Contains(err.Error(), "hidden") {
		t.Error(err)
	}
}
