package relay

import (
	"context"
	"strings"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

const here = `"region":"here","relay":"relay-1"`

// distant is a store that other relays share, far away.
type distant struct {
	broker.Broker
	others []broker.Peer
}

func (d *distant) RoundTrip() time.Duration { return 12_345 * time.Microsecond }

func (d *distant) Others(context.Context) ([]broker.Peer, error) { return d.others, nil }

// after returns what an event says from a field on.
func after(event, field string) string {
	_, rest, _ := strings.Cut(event, `"`+field+`":`)
	return rest
}

// Whoever says something, or is there, is at a place; what the application says comes from none.
func TestPlaces(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		asha := r.guest("asha")
		ack := asha.Call("join", `{"room":"a","presence":true}`)
		if members := wiretest.Field(t, ack, "members"); !strings.Contains(members, here) || strings.Contains(members, `"places"`) {
			t.Error("members:", members)
		}
		ben := r.member("ben", "a")
		if told := asha.Packet(); !strings.Contains(after(told, "joined"), here) {
			t.Error("presence:", told)
		}
		ben.Call("publish", `{"room":"a","data":1}`)
		ben.Packet()
		if said := asha.Packet(); !strings.Contains(after(said, "from"), here) {
			t.Error("a message:", said)
		}
		ben.Text(`42["signal",{"room":"a","data":1}]`)
		if said := asha.Packet(); !strings.Contains(after(said, "from"), here) {
			t.Error("a signal:", said)
		}
		if ack := ben.Call("members", `{"room":"a"}`); strings.Count(ack, here) != 2 {
			t.Error("members:", ack)
		}
		ben.Call("leave", `{"room":"a"}`)
		if told := asha.Packet(); !strings.Contains(after(told, "left"), here) {
			t.Error("presence:", told)
		}
	})
}

// A client learns which relays there are, and how far its own is from the store.
func TestRelaysAndTheWayToTheStore(t *testing.T) {
	l, dial := wiretest.ListenTCP(t)
	store := &distant{broker.NewMemory(settings(t).Limits()), []broker.Peer{
		{Node: "n", URL: "http://10.0.0.7:8080", Machine: "m", Place: broker.Place{Region: "nrt", Relay: "two"}}, {Node: "of before"}}}
	r := newRig(t, l, dial, store, "RELAY_URLS=nrt=https://nrt.example.com, sin=https://sin.example.com")
	t.Cleanup(r.close)
	p := r.guest("asha")
	if got := wiretest.Field(t, p.Call("ping", `{}`), "store"); got != "12.35" {
		t.Errorf("the store is said to be %s ms away", got)
	}
	const want = `[{"region":"here","relay":"relay-1"},{"region":"nrt","relay":"two","url":"https://nrt.example.com"}]`
	if got := wiretest.Field(t, p.Call("relays", `{}`), "relays"); got != want {
		t.Errorf("relays are %s, want %s", got, want)
	}
}

func TestRelayURLs(t *testing.T) {
	for value, wrong := range map[string]bool{
		"nrt=https://nrt.example.com":                         false,
		"nrt=https://nrt.example.com:8443,one=http://1.2.3.4": false,
		"https://nrt.example.com":                             true,
		"=https://nrt.example.com":                            true,
		"nrt=https://nrt.example.com/chat":                    true,
		"nrt=javascript:alert(1)":                             true,
		"nrt=https://a.example.com,nrt=https://b.example.com": true,
		"n\trt=https://nrt.example.com":                       true,
	} {
		_, err := LoadConfig([]string{"RELAY_URLS=" + value})
		if wrong != (err != nil) {
			t.Errorf("%s: %v", value, err)
		}
		if wrong && (!strings.Contains(err.Error(), "RELAY_URLS is ") || !strings.Contains(err.Error(), "like nrt=https://")) {
			t.Errorf("%s: the error does not name the setting, and what it takes: %v", value, err)
		}
	}
}
