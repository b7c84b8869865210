package relay

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"setu/relay/hook"
	"setu/relay/metrics"
)

func TestHookSettings(t *testing.T) {
	c := settings(t, "HOOK_URL=https://app.example/hook?code=s3cr3t-s3cr3t", "HOOK_SECRET="+hookSecret+" , "+hookSecret, "HOOK_EVENTS=connect, publish",
		"HOOK_HEADERS=cookie, x-tenant", "HOOK_TIMEOUT=1s", "HOOK_CONCURRENCY=2", "HOOK_QUEUE=3", "HOOK_ANSWER_BYTES=4096")
	h, wrong := c.readHook()
	if len(wrong) > 0 || h.URL.String() != "https://app.example/hook?code=s3cr3t-s3cr3t" || len(h.Secrets) != 2 || h.Network != hook.Public ||
		h.Events.Has(metrics.HookEvent) || !h.Events.Has(metrics.HookPublish) || fmt.Sprint(h.Headers) != "[Cookie X-Tenant]" ||
		h.Timeout != time.Second || h.Concurrency != 2 || h.Queue != 3 || h.MaxAnswer != 4096 {
		t.Errorf("%+v %v", h, wrong)
	}
	if shown := fmt.Sprintf("%v %+v %#v", c, c, h.Secrets); strings.Contains(shown, "s3cr3t") || strings.Contains(shown, hookSecret[6:]) {
		t.Error("the settings show a secret")
	}
	if h, wrong := settings(t).readHook(); h != nil || wrong != nil {
		t.Error(h, wrong)
	}
	settings(t, "HOOK_URL=http://localhost:3000/", "HOOK_NETWORK=any") // nobody else can ask an app on this machine
}

// A setting of hooks that is wrong is named, and why, and nothing that may be a secret.
func TestBadHookSettings(t *testing.T) {
	const url = "HOOK_URL=https://app.example/hook"
	for why, settings := range map[string][]string{
		"HOOK_URL is \"(12 bytes, not shown)\": it takes a text: ": {"HOOK_URL=s3cr3t/s3cr3"},
		"(it holds a user or a password)":                          {"HOOK_URL=https://u:s3cr3t@app.example"},
		"(it is http or https)":                                    {"HOOK_URL=ftp://app.example/?s3cr3t"},
		"HOOK_URL is \"http://127.0.0.1:3000/hook\": it takes":     {"HOOK_URL=http://127.0.0.1:3000/hook?s3cr3t"},
		"that takes HOOK_NETWORK=any)":                             {"HOOK_URL=http://app.internal/?s3cr3t", "HOOK_SECRET=" + hookSecret},
		"(whoever can reach the app could ask it: ":                {url},
		"(secret 1 of 1 does not begin with whsec_)":               {url, "HOOK_SECRET=s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t"},
		"is no base64)":                       {url, "HOOK_SECRET=" + hookSecret + ",whsec_s3cr3t-s3cr3t"},
		"(it means nothing without HOOK_URL)": {"HOOK_SECRET=whsec_s3cr3ts3cr3ts3cr3ts3cr3ts3cr3ts3cr3t"},
	} {
		_, err := LoadConfig(settings)
		if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "s3cr3") {
			t.Errorf("%s: %v", settings, err)
		}
	}
}
