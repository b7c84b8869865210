package namespace

import (
	"testing"

	"setu/relay/limit"
)

// What a message is can be told by its beginning, or is not told.
func TestKindOf(t *testing.T) {
	kindOf := KindOf(func(name []byte) limit.Kind {
		if string(name) == "join" {
			return limit.Join
		}
		return limit.Signal
	})
	for message, want := range map[string]struct {
		kind limit.Kind
		n    int
	}{
		`2["join",{"room":"a`:        {limit.Join, 1},
		`2["join"`:                   {limit.Join, 1},
		`2/space,17[ "join" ,`:       {limit.Join, 1},
		`217["other",`:               {limit.Signal, 1},
		`51-["join",{"_placeholder"`: {limit.Join, 1},
		`0`:                          {limit.Event, 1},
		`0/space,{"token"`:           {limit.Event, 1},
		`1`:                          {limit.Event, 1},
		`317[]`:                      {limit.Event, 1},
		``:                           {},
		`2`:                          {},
		`2["joi`:                     {},
		`2["jo\u0069n",`:             {},
		`2[]`:                        {},
		`2[17]`:                      {},
		`4{"message":""}`:            {},
		`x`:                          {},
	} {
		if k, n := kindOf([]byte(message), len(message)); k != want.kind || n != want.n {
			t.Errorf("%s: %d of %d, not %d of %d", message, n, k, want.n, want.kind)
		}
	}
	for size, want := range map[int]int{maxAuth: 1, maxAuth + maxConnectHead: 1, maxAuth + maxConnectHead + 1: hugePackets} {
		if _, n := kindOf([]byte(`0/x,{"name":`), size); n != want {
			t.Errorf("a CONNECT of %d bytes counts as %d packets", size, n)
		}
	}
}
