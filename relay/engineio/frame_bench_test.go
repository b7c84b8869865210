package engineio

import "testing"

var message = []byte(`2["message",{"room":"lobby","seq":1,"data":{"text":"hello there"}},"offset"]`)

// BenchmarkNewFrame is one event as it is made ready for all who are to hear it.
func BenchmarkNewFrame(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewFrame(len(message), func(dst []byte) []byte { return append(dst, message...) })
	}
}

// A frame takes its bytes and itself; parsing one takes nothing.
func TestFrameAllocates(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		NewFrame(len(message), func(dst []byte) []byte { return append(dst, message...) })
	}); n != 2 {
		t.Errorf("a frame takes %v allocations, want 2", n)
	}
	packet := append([]byte("4"), message...)
	if n := testing.AllocsPerRun(100, func() { _, _ = Parse(packet, false) }); n != 0 {
		t.Errorf("parsing a packet takes %v allocations", n)
	}
}
