package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"setu/relay/wiretest"
)

// A message is put together as it came, in whatever pieces it comes, up to what it may have and a byte more.
func TestAssembly(t *testing.T) {
	const most = aheadBytes + 3*partBytes
	for _, size := range []int{0, 1, aheadBytes - 1, aheadBytes, aheadBytes + 1, aheadBytes + partBytes, aheadBytes + partBytes + 1,
		most - 1, most, most + 1, 2 * most} {
		message := make([]byte, size)
		for i := range message {
			message[i] = byte(i * 7 >> 3)
		}
		for name, r := range map[string]io.Reader{
			"at once":               bytes.NewReader(message),
			"byte by byte":          iotest.OneByteReader(bytes.NewReader(message)),
			"with the end at once":  iotest.DataErrReader(bytes.NewReader(message)),
			"half of what is asked": iotest.HalfReader(bytes.NewReader(message)),
		} {
			a, paid := assembly{most: most}, 0
			all := func([]byte) int { return most }
			if err := a.read(r, all, func(n int) { paid += n }); err != nil {
				t.Errorf("%d %s: %v", size, name, err)
			}
			if want := message[:min(size, most+1)]; a.size != len(want) || a.isTooLarge() != (size > most) ||
				!bytes.Equal(a.all(), want) || !bytes.Equal(a.head(), want[:min(len(want), headBytes)]) {
				t.Errorf("%d %s: %d bytes, too large: %v", size, name, a.size, a.isTooLarge())
			}
			if want := max(0, a.size-aheadBytes); paid != want {
				t.Errorf("%d %s: paid for %d, not %d", size, name, paid, want)
			}
			if past, err := readPast(r); err != nil || past != size-a.size {
				t.Errorf("%d %s: %d and %d bytes, %v", size, name, a.size, past, err)
			}
			a.free()
		}
	}
}

// What reading returns is told, and of what breaks off nothing is the end.
func TestAssemblyFails(t *testing.T) {
	failure := errors.New("failed")
	for _, size := range []int{0, 10, aheadBytes, aheadBytes + partBytes + 10} {
		for _, want := range []error{failure, io.ErrUnexpectedEOF, errBomb} {
			a := assembly{most: 1 << 20}
			r := io.MultiReader(bytes.NewReader(make([]byte, size)), iotest.ErrReader(want))
			if err := a.read(r, func([]byte) int { return 1 << 20 }, func(int) {}); err != want || a.size != size {
				t.Errorf("%d: %v after %d", size, err, a.size)
			}
			a.free()
		}
		if past, err := readPast(io.MultiReader(bytes.NewReader(make([]byte, size)), iotest.ErrReader(failure))); err != failure || past != size {
			t.Errorf("%d: %v after %d", size, err, past)
		}
	}
}

// A message may have no more than what its beginning says.
func TestMostOf(t *testing.T) {
	const most = 10_000
	for _, test := range []struct {
		size  int
		first byte
		want  string
	}{
		{most, 's', "all"},
		{most + 1, 's', fmt.Sprint(most+2, " bytes: sxx")},
		{most + 1, 'x', "all"},
		{300_000, 's', "300001 bytes: sxx"},
		{300_000, 'x', "all"},
	} {
		overPipes(t, tapes(func(*Session, []byte, bool) error { return nil }), func(t *testing.T, r *rig) {
			r.srv.cfg.MostOf = func(message []byte) int {
				if message[0] == 's' {
					return most
				}
				return math.MaxInt
			}
			p := r.greeted()
			h := r.only().handler.(*tape)
			message := bytes.Repeat([]byte("x"), test.size)
			message[0] = test.first
			if test.want == "all" {
				test.want = string(message)
			}
			p.Write(slices.Concat(wiretest.ClientFrame(0x81, append([]byte("4"), message...)), wiretest.ClientFrame(0x81, []byte("4next"))))
			synctest.Wait()
			if !slices.Equal(h.all(), []string{test.want, "next"}) {
				t.Errorf("%d of %c: heard %.40q", test.size, test.first, h.all())
			}
		})
	}
}
