package events

import (
	"encoding/json"
	"testing"
)

// FuzzPublished holds the answer to a publish against encoding/json.
func FuzzPublished(f *testing.F) {
	f.Add(true, "lobby", "m3", "e1.c.3.x3", uint64(3), int64(1767225600000), false)
	f.Add(false, "\"<é\u2028\\\x00\xff", "a\nb\x7f", "", ^uint64(0), int64(-1), true)
	f.Fuzz(func(t *testing.T, ok bool, room, id, offset string, seq uint64, at int64, duplicate bool) {
		p := published{ok, room, id, offset, seq, at, duplicate}
		want, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(p.append([]byte("["))); got != "["+string(want) {
			t.Errorf("%s\nand not\n[%s", got, want)
		}
	})
}

func BenchmarkPublished(b *testing.B) {
	p := published{true, "room", "PNSvptV6O5Q", "7ccgaq.1.1.9bcecdc253", 1, 1795874536525, false}
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buf = p.append(buf[:0])
	}
}
