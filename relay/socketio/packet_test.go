package socketio

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, v := range vectors(t, "packets.txt") {
		t.Run(v.name, func(t *testing.T) {
			p, err := Parse(v.bytes)
			if got, want := describe(p, err), meaning(v.meaning); got != want {
				t.Fatalf("%.200q means\n%.200s, want\n%.200s", v.bytes, got, want)
			}
			if err == nil {
				sameWhenWrittenBack(t, p)
			}
		})
	}
}

func sameWhenWrittenBack(t *testing.T, p Packet) {
	t.Helper()
	b, err := p.Append(nil)
	if err != nil {
		t.Fatalf("%+v is not written back: %v", p, err)
	}
	again, err := Parse(b)
	if err != nil {
		t.Fatalf("%q is not read back: %v", b, err)
	}
	if again.Data == nil {
		again.Data = p.Data[:0]
	}
	if p.Data == nil {
		p.Data = again.Data
	}
	if !reflect.DeepEqual(again, p) {
		t.Fatalf("%+v written back as %q, read as %+v", p, b, again)
	}
}

func TestEvents(t *testing.T) {
	for _, v := range vectors(t, "events.txt") {
		t.Run(v.name, func(t *testing.T) {
			p, err := Parse(v.bytes)
			if err != nil {
				t.Fatal(err)
			}
			got := p.Type.String()
			if p.Type.event() {
				if got, _, err = Arguments(p.Data); err != nil {
					t.Fatal(err)
				}
			}
			if _, want, _ := strings.Cut(v.meaning, " "); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			if b, err := p.Append(nil); err != nil || !bytes.Equal(b, v.bytes) {
				t.Errorf("written back as %q, %v", b, err)
			}
		})
	}
}

// The list of an ack stands two levels deeper than the publish that a message came in.
func TestParseDepth(t *testing.T) {
	b := []byte(`31[` + strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1) + `]`)
	if _, err := Parse(b); !errors.Is(err, ErrDepth) {
		t.Errorf("Parse: %v, want ErrDepth", err)
	}
	if _, err := ParseDepth(b, MaxDepth+2); err != nil {
		t.Errorf("ParseDepth: %v", err)
	}
}

// A packet that is nested too deep keeps its head, so that its sender can be answered and its
// attachments awaited.
func TestTooDeepKeepsTheHead(t *testing.T) {
	p, err := Parse([]byte(`52-/a,7["x",` + strings.Repeat("[", 10_000)))
	want := Packet{Type: BinaryEvent, Namespace: "/a", ID: 7, HasID: true, Attachments: 2}
	if !errors.Is(err, ErrDepth) || !reflect.DeepEqual(p, want) {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestAppendRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		p    Packet
		want error
	}{
		"no type":                     {Packet{Data: []byte(`{}`)}, ErrType},
		"attachments of a text event": {Packet{Type: Event, Attachments: 1, Data: []byte(`["a"]`)}, ErrAttachments},
		"too many attachments":        {Packet{Type: BinaryEvent, Attachments: 11, Data: []byte(`["a"]`)}, ErrAttachments},
		"negative attachments":        {Packet{Type: BinaryEvent, Attachments: -1, Data: []byte(`["a"]`)}, ErrAttachments},
		"namespace without a slash":   {Packet{Type: Connect, Namespace: "a"}, ErrNamespace},
		"namespace with a comma":      {Packet{Type: Connect, Namespace: "/a,b"}, ErrNamespace},
		"ack without an id":           {Packet{Type: Ack, Data: []byte(`[]`)}, ErrID},
		"connect with an id":          {Packet{Type: Connect, HasID: true}, ErrID},
		"payload that reads as an id": {Packet{Type: Event, Data: []byte(`1["a"]`)}, ErrPayload},
		"payload of spaces":           {Packet{Type: Event, Data: []byte(` `)}, ErrJSON},
		"event without a payload":     {Packet{Type: Event}, ErrPayload},
	} {
		dst := []byte("kept")
		got, err := row.p.Append(dst)
		if !errors.Is(err, row.want) || string(got) != "kept" {
			t.Errorf("%s: %q, %v, want %v", name, got, err, row.want)
		}
	}
}

func TestParseAllocates(t *testing.T) {
	b := []byte(`212["publish",{"room":"lobby","id":"m1","data":{"text":"hello"}}]`)
	// json.Valid's scanner comes from a pool, which may be empty at times, and is under the race
	// detector.
	if n := testing.AllocsPerRun(100, func() { _, _ = Parse(b) }); n > 1 {
		t.Errorf("Parse allocates %v times", n)
	}
}

// What is written into a buffer that is large enough takes no memory.
func TestAppendAllocates(t *testing.T) {
	p := Packet{Type: Ack, ID: 12, HasID: true, Data: []byte(`[{"ok":true,"room":"lobby"}]`)}
	dst := make([]byte, 0, 100)
	if n := testing.AllocsPerRun(100, func() { dst, _ = p.Append(dst[:0]) }); n != 0 {
		t.Errorf("Append allocates %v times", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	p := Packet{Type: Ack, ID: 12, HasID: true, Data: []byte(`[{"ok":true,"room":"lobby"}]`)}
	dst := make([]byte, 0, 100)
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = p.Append(dst[:0])
	}
}

func FuzzParse(f *testing.F) {
	for _, file := range []string{"packets.txt", "events.txt"} {
		for _, v := range vectors(f, file) {
			if len(v.bytes) < 1000 {
				f.Add(v.bytes)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			return
		}
		sameWhenWrittenBack(t, p)
		if !p.Type.event() {
			return
		}
		if _, _, err := Arguments(p.Data); err != nil && !errors.Is(err, ErrItems) {
			t.Fatalf("%q was taken, but: %v", b, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for name, packet := range map[string]string{
		"100B": `212["publish",{"room":"lobby","id":"m1","data":{"text":"` + strings.Repeat("a", 50) + `"}}]`,
		"4KB":  `212["publish",{"room":"lobby","id":"m1","data":{"text":"` + strings.Repeat("a", 4000) + `"}}]`,
		"deep": `212["publish",` + strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1) + `]`,
	} {
		in := []byte(packet)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				if _, err := Parse(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
