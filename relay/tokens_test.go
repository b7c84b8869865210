package relay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"setu/relay/auth"
)

// testSecret is a setting under which tokens can be asked for.
const testSecret = "AUTH_SECRET=s3cr3t that only tests have and nobody else"

func TestAuthSettings(t *testing.T) {
	everything := auth.All &^ auth.Invisible
	for name, c := range map[string]struct {
		settings []string
		mode     auth.Mode
		guests   auth.Rights // in "lobby"
	}{
		"nothing":               {nil, auth.Open, everything},
		"a secret":              {[]string{testSecret}, auth.Required, 0},
		"a set of keys":         {[]string{"AUTH_JWKS_URL=https://id.example/keys"}, auth.Required, 0},
		"optional":              {[]string{testSecret, "AUTH=optional"}, auth.Optional, 0},
		"optional, with guests": {[]string{testSecret, "AUTH=optional", "GUEST_ROOMS=lobby:join team-*:publish"}, auth.Optional, auth.Join},
		"open, with a key":      {[]string{testSecret, "AUTH=open"}, auth.Open, everything},
		"open, with guests":     {[]string{"GUEST_ROOMS=*:join,history"}, auth.Open, auth.Join | auth.History},
		"guests in other rooms": {[]string{"GUEST_ROOMS=team-*:publish"}, auth.Open, 0},
	} {
		got := settings(t, c.settings...).Auth()
		if got.Mode != c.mode || got.Guests.Of("lobby") != c.guests || got.MaxTTL != 720*time.Hour || got.Check() != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	got := settings(t, testSecret, "AUTH_JWKS_URL=http://127.0.0.1/keys", "AUTH_ISSUER=https://id.example", "AUTH_AUDIENCE=chat", "AUTH_MAX_TTL=1h").Auth()
	if len(got.Secrets) != 1 || got.JWKS.String() != "http://127.0.0.1/keys" || got.Issuer != "https://id.example" || got.Audience != "chat" || got.MaxTTL != time.Hour {
		t.Errorf("%+v", got)
	}
}

// A setting of tokens that is wrong is named, and what it takes, and nothing that may be a secret.
func TestBadAuthSettingsHideSecrets(t *testing.T) {
	for setting, why := range map[string]string{
		"AUTH_SECRET=s3cr3t": "AUTH_SECRET is \"(6 bytes, not shown)\": it takes a text: ",
		"AUTH_SECRET=s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t,s3cr3t":       "(secret 2 of 2 has 6 bytes)",
		"AUTH_PUBLIC_KEY=s3cr3t":                                      "(it is no PEM",
		"AUTH_PUBLIC_KEY=-----BEGIN PRIVATE KEY-----\ns3cr3t":         "AUTH_PUBLIC_KEY is \"(",
		"AUTH_JWKS_URL=http://id.example/keys?key=s3cr3t":             "AUTH_JWKS_URL is \"http://id.example/keys\": it takes a text: ",
		"AUTH_JWKS_URL=https://u:s3cr3t@id.example/keys?s3cr3t#s3cr3": "(it holds a user or a password)",
		"AUTH_JWKS_URL=https://u:s3cr3t@id.exam ple/":                 "not shown",
		"AUTH_JWKS_URL=s3cr3t":                                        "not shown",
	} {
		for _, mode := range []string{"AUTH=", "AUTH=required"} {
			_, err := LoadConfig([]string{setting, mode})
			if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", setting, err)
			}
		}
	}
	if c := settings(t, testSecret); strings.Contains(fmt.Sprintf("%v %+v %#v %s %x", c, c, c, c.Auth(), c.AuthSecret), "s3cr3t") {
		t.Error("the settings show a secret")
	}
	if _, err := LoadConfig([]string{"AUTH=required"}); err == nil || !strings.HasSuffix(err.Error(), " (no key is set: AUTH_SECRET, AUTH_PUBLIC_KEY or AUTH_JWKS_URL)") {
		t.Error(err)
	}
}
