package broker_test

import (
	"encoding/json"
	"testing"

	"setu/relay/broker"
)

func TestPlacesOfAUser(t *testing.T) {
	asha := broker.User{ID: "~a", Name: `,"guest":true}`, Guest: true}
	text, _ := json.Marshal(asha)
	fra, nrt := broker.Place{Region: "fra", Relay: "one"}, broker.Place{Region: "nrt", Relay: "two"}
	for _, c := range []struct {
		name   string
		places []broker.Place
		want   string
	}{
		{"nowhere", nil, ``},
		{"somewhere that nobody knows", []broker.Place{{}}, ``},
		{"at one place", []broker.Place{fra}, `,"region":"fra","relay":"one"`},
		{"at two, the last of which is the newest", []broker.Place{fra, nrt},
			`,"region":"nrt","relay":"two","places":[{"region":"fra","relay":"one"},{"region":"nrt","relay":"two"}]`},
	} {
		want := string(text[:len(text)-1]) + c.want + "}"
		if later, wants := string(text[:len(text)-1])+`,"later":1}`, string(text[:len(text)-1])+`,"later":1`+c.want+"}"; broker.WithPlaces(later, c.places...) != wants {
			t.Errorf("%s: what a later relay has added is lost", c.name)
		}
		got := broker.WithPlaces(string(text), c.places...)
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, want)
		}
		if again := broker.WithPlaces(got, c.places...); again != want {
			t.Errorf("%s, said again:\n got %s\nwant %s", c.name, again, want)
		}
		if cut := broker.CutPlaces(got); cut != string(text) {
			t.Errorf("%s, without the places:\n got %s\nwant %s", c.name, cut, text)
		}
	}
	placed, _ := json.Marshal(broker.User{ID: "b", Name: "Ben", Place: nrt})
	if got, want := string(placed), broker.WithPlaces(`{"id":"b","name":"Ben","guest":false}`, nrt); got != want {
		t.Errorf("a user's own JSON is %s, and with the place %s", got, want)
	}
	for _, odd := range []string{``, `{}`, `null`, `{"id":"x","guest":1}`} {
		if got := broker.CutPlaces(odd); got != odd {
			t.Errorf("%s became %s", odd, got)
		}
	}
}
