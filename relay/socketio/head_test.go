package socketio

import (
	"errors"
	"strings"
	"testing"
)

func TestParseHead(t *testing.T) {
	long := strings.Repeat("x", 600)
	tests := []struct {
		head string
		want Packet
		err  error
	}{
		{`27["publish","` + long, Packet{Type: Event, Namespace: "/", ID: 7, HasID: true}, nil},
		{`2["` + long, Packet{Type: Event, Namespace: "/"}, nil},
		{`2/admin,18446744073709551615[`, Packet{Type: Event, Namespace: "/admin", ID: 1<<64 - 1, HasID: true}, nil},
		{"53-1 \n[", Packet{Type: BinaryEvent, Namespace: "/", ID: 1, HasID: true, Attachments: 3}, nil},
		{`31["`, Packet{Type: Ack, Namespace: "/", ID: 1, HasID: true}, nil},
		{`0{"`, Packet{Type: Connect, Namespace: "/"}, nil},
		{``, Packet{}, ErrEmpty},
		{`x[`, Packet{}, ErrType},
		{`511-[`, Packet{}, ErrAttachments},
		{`5` + strings.Repeat("0", 600), Packet{}, ErrAttachments},
		{`2/` + long, Packet{}, ErrNamespace},
		{`3[`, Packet{}, ErrID},
		{`2` + strings.Repeat("9", 600), Packet{}, ErrID},
		{`2` + strings.Repeat("0", 600), Packet{}, ErrPayload}, // there may be more of the id
		{`2/admin,7`, Packet{}, ErrPayload},
		{`2/admin`, Packet{}, ErrPayload},
		{`2   `, Packet{}, ErrPayload},
		{`2{`, Packet{}, ErrPayload},
	}
	for _, tt := range tests {
		got, err := ParseHead([]byte(tt.head))
		got.Data = nil
		if !errors.Is(err, tt.err) || err == nil && (got.Type != tt.want.Type || got.Namespace != tt.want.Namespace ||
			got.ID != tt.want.ID || got.HasID != tt.want.HasID || got.Attachments != tt.want.Attachments) {
			t.Errorf("%.40q: %+v, %v; want %+v, %v", tt.head, got, err, tt.want, tt.err)
		}
	}
}

// ParseHead reads the same head from a packet as Parse, however much of the payload is there.
func TestParseHeadAgreesWithParse(t *testing.T) {
	for _, v := range vectors(t, "packets.txt") {
		want, err := Parse(v.bytes)
		if err != nil || len(want.Data) == 0 {
			continue
		}
		begins := len(v.bytes) - len(want.Data) + skipSpace(want.Data, 0)
		for n := range len(v.bytes) + 1 {
			got, err := ParseHead(v.bytes[:n])
			switch {
			case n <= begins && err == nil:
				t.Errorf("%q was taken", v.bytes[:n])
			case n > begins && (err != nil || got.Type != want.Type || got.Namespace != want.Namespace || got.ID != want.ID ||
				got.HasID != want.HasID || got.Attachments != want.Attachments):
				t.Errorf("%q: %+v, %v; want the head of %+v", v.bytes[:n], got, err, want)
			}
		}
	}
}
