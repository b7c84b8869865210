package wire

import (
	"bytes"
	"testing"
	"time"
)

func TestFrames(t *testing.T) {
	for _, size := range []int{0, 5, 125, 126, 65535, 65536} {
		payload := bytes.Repeat([]byte("abcdefg"), size/7+1)[:size]
		b := AppendServer(AppendClient(nil, Text, payload), Close, payload)
		f, rest, ok := Next(b)
		if !ok || !f.Masked || f.Op != Text || !f.Final {
			t.Fatalf("%d bytes: %+v", size, f)
		}
		Unmask(f.Payload, f.Mask)
		if !bytes.Equal(f.Payload, payload) {
			t.Errorf("%d bytes: another payload", size)
		}
		for cut := range min(len(rest), 20) {
			if _, left, ok := Next(rest[:cut]); ok && cut < len(rest) || len(left) != cut {
				t.Errorf("%d bytes: %d of them pass for a frame", size, cut)
			}
		}
		f, rest, ok = Next(rest)
		if !ok || f.Masked || f.Op != Close || !bytes.Equal(f.Payload, payload) || len(rest) > 0 {
			t.Errorf("%d bytes: %+v", size, f)
		}
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]Kind{
		``: Unknown, `2`: Heartbeat, `0{"sid":"a"}`: Open, `40{"sid":"a"}`: Connected, `44{"message":"no"}`: Refused,
		`42["message",{}]`: Message, `42["welcome",{}]`: Other, `4317[{"ok":true}]`: Acked, `437[{"ok":false,"error":{}}]`: Failed,
		`43`: Unknown, `43[`: Unknown, `437`: Unknown, `1`: Closed, `41`: Closed, `6`: Unknown,
	} {
		if kind, _ := Parse([]byte(text)); kind != want {
			t.Errorf("%s is %v, want %v", text, kind, want)
		}
	}
	if _, id := Parse([]byte(`4317[{"ok":true}]`)); id != 17 {
		t.Errorf("id %d", id)
	}
}

func TestRecovery(t *testing.T) {
	for event, want := range map[string]string{
		`42["message",{"data":"a"},"e.1.2.3"]`: "e.1.2.3", `42["token_expires",{}]`: "", `"]`: "", ``: "",
	} {
		if got := Offset([]byte(event)); string(got) != want {
			t.Errorf("%s has the offset %q", event, got)
		}
	}
	if pid, err := PID([]byte(`40{"sid":"a","pid":"b"}`)); pid != "b" || err != nil {
		t.Error(pid, err)
	}
	if _, err := PID([]byte(`4`)); err == nil {
		t.Error("no answer has a pid")
	}
	if got, want := Recover("p", []byte("o")), `40{"pid":"p","offset":"o"}`; got != want {
		t.Error(got)
	}
	if got, want := Join(3, "r", []byte("o")), `423["join",{"room":"r","since":"o"}]`; got != want {
		t.Error(got)
	}
	if got, want := string(AppendPublish(nil, 7, "r", []byte(`"x"`))), `427["publish",{"room":"r","data":"x"}]`; got != want {
		t.Error(got)
	}
}

func TestStamps(t *testing.T) {
	for _, size := range []int{0, MinPayload, 128, 65536} {
		p := Payload(size)
		if len(p) != max(size, MinPayload) {
			t.Errorf("%d bytes, want %d", len(p), size)
		}
		sent := 20*time.Minute + 5*time.Microsecond
		Put(p, MaxPublishers-1, MaxSeq-1, sent)
		text := append([]byte(`42["message",{"id":"~a","data":`), p...)
		s, rest, ok := NextStamp(text)
		if !ok || s.Publisher != MaxPublishers-1 || s.Seq != MaxSeq-1 || s.Age(sent+time.Second) != time.Second {
			t.Errorf("%d bytes: %+v of %s, %v", size, s, p[:16], s.Age(sent))
		}
		if _, _, ok := NextStamp(rest); ok {
			t.Errorf("%d bytes: two stamps", size)
		}
	}
	if _, _, ok := NextStamp([]byte("!~0000000")); ok {
		t.Error("half a stamp passes for one")
	}
}

func FuzzNext(f *testing.F) {
	f.Add(AppendClient(nil, Text, []byte("hello")))
	f.Add(AppendServer(nil, Text, make([]byte, 70000)))
	f.Add([]byte{0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		for {
			frame, rest, ok := Next(b)
			if !ok {
				return
			}
			if len(rest) >= len(b) {
				t.Fatal("no way forward")
			}
			kind, _ := Parse(frame.Payload)
			if kind == Message {
				Offset(frame.Payload)
			}
			NextStamp(frame.Payload)
			b = rest
		}
	})
}
