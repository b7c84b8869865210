package engine

import (
	"net/http"
	"strings"
	"testing"
)

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
	}
	for _, tt := range tests {
		srv := Server{cfg: settings(t, "ALLOWED_ORIGINS="+strings.ReplaceAll(tt.setting, " ", ""))}
		if got := srv.originAllowed(&http.Request{Host: "relay", Header: http.Header{"Origin": {tt.origin}}}); got != tt.ok {
			t.Errorf("%q, page of %s: %v", tt.setting, tt.origin, got)
		}
	}
}
