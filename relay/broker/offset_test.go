package broker_test

import (
	"strings"
	"testing"

	"setu/relay/broker"
)

func TestParseOffsetRefuses(t *testing.T) {
	for _, s := range []string{
		"", ".", "...", "e.1.1", "e.1.1.d.x", ".1.1.d", "e..1.d", "e.1..d", "e.1.1.", "e.-1.1.d", "e.1.-1.d", "e.1.1.D", "E.1.1.d",
		"e.1.1.d ", "e.1.0.z!", "e.1.0.-5", "e.+1.1.d", "e.zzzzzzzzzzzzzz.1.d", "e.1.1.d\x00", "e.1.1." + strings.Repeat("d", broker.MaxOffset),
	} {
		if o, err := broker.ParseOffset(s); err == nil {
			t.Errorf("%q reads as %+v", s, o)
		}
	}
}

func FuzzOffset(f *testing.F) {
	for _, o := range []broker.Offset{
		{Epoch: "e", Pos: 1, Seq: 1, Digest: "d"},
		{Epoch: "abcdefghij", Pos: 1<<63 - 1, Seq: 1<<63 - 1, Digest: "0123456789ab"},
		{Epoch: "e", Pos: 5, At: 1_700_000_000_000},
	} {
		f.Add(o.String())
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := broker.ParseOffset(s)
		if err != nil {
			return
		}
		again, err := broker.ParseOffset(o.String())
		if err != nil || again != o {
			t.Errorf("%q reads as %+v, whose text %q reads as %+v, %v", s, o, o, again, err)
		}
	})
}
