package chat

import "testing"

func TestDeniedBy(t *testing.T) {
	for _, c := range []struct {
		rights []string
		want   Denied
	}{
		{nil, Denied{}},
		{[]string{"join", "publish", "signal", "history", "members"}, Denied{}},
		{[]string{"join", "history"}, Denied{Publish: true, Signal: true, Members: true}},
		{[]string{}, Denied{Publish: true, Signal: true, History: true, Members: true}},
	} {
		if got := DeniedBy(c.rights); got != c.want {
			t.Errorf("%q: got %+v, want %+v", c.rights, got, c.want)
		}
	}
	var d Denied
	for _, right := range []string{"join", "publish", "signal", "history", "members", "fly"} {
		d.Deny(right)
	}
	if d != (Denied{true, true, true, true, true}) {
		t.Errorf("denied %+v", d)
	}
}

func TestNotice(t *testing.T) {
	for _, c := range []struct {
		room Room
		want string
	}{
		{Room{}, ""},
		{Room{Denied: Denied{Publish: true}}, "You may read here, but not write."},
		{Room{Denied: Denied{Join: true}}, "You may not enter this room."},
		{Room{Denied: Denied{Join: true}, Entered: true}, "You may no longer be in this room."},
		{Room{Denied: Denied{Signal: true, Members: true, History: true}}, ""},
	} {
		if got := c.room.Notice(); got != c.want || c.room.MayWrite() != (c.want == "") {
			t.Errorf("%+v: %q", c.room.Denied, got)
		}
	}
	for _, c := range []struct {
		room              Room
		refused, retrying bool
		want              string
	}{
		{Room{Retried: true}, false, false, ""},
		{Room{Refusal: "too many rooms"}, true, false, "You are not in this room. The relay says: too many rooms."},
		{Room{Refusal: "no answer", Retried: true}, false, true, "The relay can’t let you in now: no answer. It is asked again; what you write is kept."},
	} {
		if r := c.room; r.Refused() != c.refused || r.Retrying() != c.retrying || r.Notice() != c.want || !r.MayWrite() {
			t.Errorf("%q: %v, %v, %q", r.Refusal, r.Refused(), r.Retrying(), r.Notice())
		}
	}
	for s := SignedIn; s <= SignInRevoked; s++ {
		if (s.Sentence() == "") != (s == SignedIn) {
			t.Errorf("%d: %q", s, s.Sentence())
		}
	}
}

func TestOriginAllowed(t *testing.T) {
	list := []string{"https://a.example", "https://*.b.example:8443", "http://c.example:80", "https://*.d.example:443"}
	for origin, want := range map[string]bool{
		"https://a.example": true, "https://x.b.example:8443": true, "https://x.y.b.example:8443": true, "http://c.example": true, "https://x.d.example": true,
		"http://a.example": false, "https://a.example:8443": false, "https://xa.example": false, "https://a.example.evil": false,
		"https://b.example:8443": false, "https://x.b.example": false, "https://.b.example:8443": false, "https://xb.example:8443": false,
		"null": false, "": false, "https://": false,
	} {
		if OriginAllowed(origin, list) != want {
			t.Errorf("%q: want %v", origin, want)
		}
	}
	if OriginAllowed("", []string{""}) || OriginAllowed("https://a.example", nil) {
		t.Error("nobody is allowed, and yet")
	}
}
