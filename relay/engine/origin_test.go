package engine

import (
	"net/http"
	"strings"
	"testing"
)

// origins reads a list of sites that is good.
func origins(t testing.TB, list string) (o Origins) {
	t.Helper()
	if list == "" {
		return o
	}
	o, err := ParseOrigins(strings.Split(list, ","))
	if err != nil {
		t.Fatal(list, err)
	}
	return o
}

func TestAllowedOrigins(t *testing.T) {
	tests := []struct {
		setting, origin string
		ok              bool
	}{
		{"", "http://relay", true},
		{"", "https://RELAY", true},
		{"", "https://a.example", false},
		{"https://a.example, https://b.example/", "https://A.example", true},
		{"https://a.example, https://b.example/", "https://b.example", true},
		{"https://a.example", "http://a.example", false},
		{"https://a.example", "https://a.example:8443", false},
		{"https://a.example", "http://relay", true},
		{"*", "https://anything.example", true},
		{"*", "null", true},

		{"", "null", false},
		{"", "file://", false},
		{"", "capacitor://relay", false}, // a program's page is none of the relay's
		{"", "relay", false},
		{"", "https://", false},
		{"", "://", false},
		{"", "https://relay.evil.example", false},
		{"", "https://relay@evil.example", false},

		{"capacitor://localhost", "capacitor://localhost", true},
		{"capacitor://localhost", "tauri://localhost", false},
		{"capacitor://localhost", "http://localhost", false},
		{"tauri://localhost", "tauri://localhost", true},
		{"app://.", "app://.", true},
		{"chrome-extension://abcdefghijklmnopabcdefghijklmnop", "chrome-extension://abcdefghijklmnopabcdefghijklmnop", true},
		{"chrome-extension://abcdefghijklmnopabcdefghijklmnop", "chrome-extension://bbcdefghijklmnopabcdefghijklmnop", false},
		{"null", "null", true},
		{"null", "https://a.example", false},
		{"null", "file://", false},
		{"null", "null://", false},
		{"null", "nonsense", false},
		{"file://", "file://", true},
		{"file://", "file://host", false},

		{"https://a.example:443", "https://a.example", true},
		{"https://a.example", "https://a.example:443", true},
		{"http://a.example:80", "http://a.example", true},
		{"http://a.example", "http://a.example:80", true},
		{"https://a.example:80", "https://a.example", false},
		{"http://a.example:443", "http://a.example", false},
		{"https://a.example:8443", "https://a.example:8443", true},
		{"http://[::1]:3000", "http://[::1]:3000", true},
		{"http://[0:0:0:0:0:0:0:1]", "http://[::1]:80", true},
		{"HTTPS://A.Example", "https://a.example", true},
		{"http://192.168.1.5:3000", "http://192.168.1.5:3000", true},
		{"http://localhost:3000", "http://localhost:3001", false},

		{"https://*.example.com", "https://a.example.com", true},
		{"https://*.Example.com", "https://A.b.c.example.COM", true},
		{"https://*.example.com", "https://example.com", false},
		{"https://*.example.com", "https://.example.com", false},
		{"https://*.example.com", "https://evil-example.com", false},
		{"https://*.example.com", "https://a.example.com.evil.org", false},
		{"https://*.example.com", "http://a.example.com", false},
		{"https://*.example.com", "https://a.example.com:443", true},
		{"https://*.example.com", "https://a.example.com:8443", false},
		{"https://*.example.com:8443", "https://a.example.com:8443", true},
		{"https://*.example.com:8443", "https://a.example.com", false},
		{"https://*.example.com,https://example.com", "https://example.com", true},
		{"http://*.localhost:3000", "http://app.localhost:3000", true},
	}
	for _, tt := range tests {
		srv := Server{cfg: settings(t, "ALLOWED_ORIGINS="+strings.ReplaceAll(tt.setting, " ", ""))}
		if got := srv.originAllowed(&http.Request{Host: "relay", Header: http.Header{"Origin": {tt.origin}}}); got != tt.ok {
			t.Errorf("%q, page of %s: %v", tt.setting, tt.origin, got)
		}
	}
}

// The site itself is known by the Host header. Behind a proxy that ends TLS, its scheme is not, nor
// which default port it left out.
func TestSameOrigin(t *testing.T) {
	tests := []struct {
		host, origin string
		ok           bool
	}{
		{"a.example", "https://a.example", true},
		{"a.example", "http://a.example", true},
		{"a.example", "https://a.example:443", true},
		{"a.example:443", "https://a.example", true},
		{"a.example:80", "http://a.example", true},
		{"a.example:80", "https://a.example", true},
		{"A.example:8080", "http://a.EXAMPLE:8080", true},
		{"a.example:8080", "http://a.example", false},
		{"a.example", "http://a.example:8080", false},
		{"a.example", "https://a.example:80", false},
		{"[::1]:8080", "http://[::1]:8080", true},
		{"[0:0::1]", "http://[::1]", true},
		{"10.0.0.7:8080", "https://a.example", false}, // a proxy that does not pass Host
		{"", "https://a.example", false},
		{"", "https://", false},
	}
	for _, tt := range tests {
		srv := Server{cfg: settings(t)}
		if got := srv.originAllowed(&http.Request{Host: tt.host, Header: http.Header{"Origin": {tt.origin}}}); got != tt.ok {
			t.Errorf("%q, page of %s: %v", tt.host, tt.origin, got)
		}
	}
}

// What can never be a page's origin is no setting.
func TestOriginsThatNeverMatch(t *testing.T) {
	for _, s := range []string{
		"", " ", "example.com", "localhost:3000", "//example.com", "https:example.com", "https//example.com", // no scheme
		"http://", "https://", "https:///", "capacitor://", "://a", "https://:8080", "1s://a", // no host
		"https://a.example/path", "https://a.example//", "https://a.example:8080/path", "https://a.example?x", "https://a.example#x",
		"https://u@a.example", "https://u:p@a.example", `https://a.example\`, "capacitor://localhost/x",
		"https://a.example:0", "https://a.example:65536", "https://a.example:http", "https://a.example:-1",
		"https://*", "https://*.", "https://*.com", "https://*.com:8443", "https://*example.com", "https://a.*.example.com", "https://*.*.example.com",
		"https://a.example:*", "*.example.com", "**", "*://a.example", "https://*.10.0.0.7", "https://*.[::1]", "capacitor://*.localhost", "http*://a.example",
		"https://a..example", "https://.a.example", "https://a b.example", "https://bücher.example", "https://a%2eexample", "https://[::1", "https://::1", "https://[fe80::1%eth0]",
		"ws://a.example", "wss://a.example", "ftp://a.example", "data://a", "file://a", "file:///", "NULL", "nil",
	} {
		if _, err := ParseOrigins([]string{"https://a.example", s}); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestIsSite(t *testing.T) {
	for s, want := range map[string]bool{"http://10.0.0.7:8080": true, "http://relay_1:8080/": true, "https://[::1]": true, "": false,
		"http://*.example.com": false, "capacitor://localhost": false, "null": false, "*": false, "http://a/b": false, "10.0.0.7:8080": false} {
		if got := IsSite(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}
