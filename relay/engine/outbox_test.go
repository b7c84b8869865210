package engine

import (
	"slices"
	"strings"
	"testing"

	"setu/relay/engineio"
)

func textFrame(s string) *engineio.Frame {
	return engineio.NewFrame(len(s), func(dst []byte) []byte { return append(dst, s...) })
}

// written takes what an outbox has queued, as if it were written at once.
func written(o *outbox) (out []string) {
	for frames := o.take(nil, 0); len(frames) > 0; frames = o.take(nil, sizeOf(frames)) {
		for _, f := range frames {
			out = append(out, string(f.Packet()))
		}
	}
	return out
}

func TestOutboxHolds(t *testing.T) {
	woken := 0
	o := outbox{limit: 1000, wake: func() { woken++ }}
	check := func(what string, wakes int, want ...string) {
		t.Helper()
		if got := written(&o); !slices.Equal(got, want) || woken != wakes {
			t.Errorf("%s: %q, woken %d times; want %q, %d", what, got, woken, want, wakes)
		}
	}
	o.release()
	o.bypass(textFrame("a"))
	check("nothing is held", 1, "a")

	o.put(textFrame("b"))
	o.hold()
	o.put(textFrame("c"))
	o.hold() // one hold, however often
	o.put(textFrame("d"))
	o.bypass(textFrame("e"))
	check("while holding", 2, "b", "e")
	o.put(textFrame("f"))
	if woken != 2 || o.bytes != 9 {
		t.Errorf("held: woken %d times, %d bytes", woken, o.bytes)
	}
	o.bypass(textFrame("g"))
	o.release()
	o.put(textFrame("h"))
	check("released while busy", 3, "g", "c", "d", "f", "h")

	o.hold()
	o.put(textFrame("i"))
	o.release()
	check("released while idle", 4, "i")
	o.hold()
	o.release()
	o.put(textFrame("j"))
	check("nothing came", 5, "j")
	if o.bytes != 0 {
		t.Errorf("%d bytes are left", o.bytes)
	}
}

func TestOutboxHoldsSoMuch(t *testing.T) {
	sized := func(n int) *engineio.Frame { return textFrame(strings.Repeat("x", n-2-2*min(n/128, 1))) }
	o := outbox{limit: 1000, wake: func() {}}
	o.hold()
	if !o.put(sized(600)) || !o.put(sized(400)) || o.put(sized(3)) || o.bytes != 1000 {
		t.Errorf("what is held counts: %d bytes", o.bytes)
	}
	if !o.bypass(sized(5000)) {
		t.Error("the answer goes ahead, whatever its size")
	}
	if o.bypass(sized(3)) {
		t.Error("what is queued counts for whoever goes ahead")
	}
	o.release()
	frames := o.take(nil, 0)
	if o.bytes != 6000 || sizeOf(frames) != 6000 {
		t.Errorf("%d bytes, %d taken", o.bytes, sizeOf(frames))
	}
	if o.take(nil, 6000); o.bytes != 0 {
		t.Errorf("%d bytes are left", o.bytes)
	}
}

func TestOutboxTakeHeld(t *testing.T) {
	woken := 0
	o := outbox{limit: 100, wake: func() { woken++ }}
	if o.takeHeld() != nil {
		t.Error("nothing is held")
	}
	o.hold()
	for _, s := range []string{"one", "two", strings.Repeat("x", 40)} {
		o.put(textFrame(s))
	}
	low := make(chan bool)
	go func() { low <- o.waitLowWater(t.Context()) }()
	if !<-low {
		t.Error("little is queued, whatever is held")
	}
	held := o.takeHeld()
	if len(held) != 3 || string(held[0].Packet()) != "one" || o.bytes != 0 || woken != 0 || o.low != nil {
		t.Fatalf("%d frames, %d bytes, woken %d times", len(held), o.bytes, woken)
	}
	o.put(textFrame("next"))
	o.bypass(textFrame("before"))
	o.release()
	if got := written(&o); !slices.Equal(got, []string{"before", "next"}) || woken != 1 {
		t.Error("the hold goes on until it is released: ", got)
	}
}

func TestOutboxClosesWhileHolding(t *testing.T) {
	woken := 0
	o := outbox{limit: 100, wake: func() { woken++ }}
	o.put(textFrame("a"))
	o.hold()
	o.put(textFrame("b"))
	empty := o.close()
	o.hold()
	if o.put(textFrame("c")) || o.bypass(textFrame("d")) {
		t.Error("a closing outbox takes nothing")
	}
	o.release()
	if got := written(&o); !slices.Equal(got, []string{"a"}) || o.bytes != 0 || woken != 1 {
		t.Errorf("%q, %d bytes, woken %d times", got, o.bytes, woken)
	}
	<-empty
	o = outbox{limit: 100, wake: func() {}}
	o.hold()
	o.put(textFrame("b"))
	if o.close() != nil || o.bytes != 0 {
		t.Error("what is held alone is not waited for")
	}
}

func TestOutbox(t *testing.T) {
	sized := func(n int) *engineio.Frame {
		return engineio.NewFrame(n, func(dst []byte) []byte { return append(dst, make([]byte, n)...) })
	}
	woken := 0
	o := outbox{limit: 1000, wake: func() { woken++ }}
	if !o.put(sized(5000)) || woken != 1 {
		t.Error("an empty outbox takes any frame")
	}
	if o.put(sized(1)) {
		t.Error("a full one takes none")
	}
	got := o.take(nil, 0)
	if len(got) != 1 || o.put(sized(1)) || woken != 1 {
		t.Error("what was taken counts until it is written, and nobody is woken while somebody drains")
	}
	if got = o.take(nil, sizeOf(got)); len(got) != 0 || o.close() != nil {
		t.Error("empty and idle")
	}
	if o.put(sized(1)) {
		t.Error("a closing outbox takes nothing")
	}

	o = outbox{limit: 1000, wake: func() { woken++ }}
	o.put(sized(100))
	o.put(sized(100))
	empty := o.close()
	select {
	case <-empty:
		t.Error("not written yet")
	default:
	}
	got = o.take(nil, 0)
	o.take(nil, sizeOf(got))
	<-empty
	if woken != 2 || o.bytes != 0 {
		t.Error(woken, o.bytes)
	}
}
