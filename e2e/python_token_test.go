package e2e_test

import (
	"slices"
	"testing"
	"time"

	"setu/relay/auth"
)

// A stock client with a token brings another when it is asked, and goes on; a token that does not hold is
// refused.
func TestStockPythonBringsTokens(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	rooms, err := auth.ParseRooms("lobby:join,publish")
	if err != nil {
		t.Fatal(err)
	}
	mint := func(ttl time.Duration) string {
		token, err := g.auth.Mint(auth.Grant{UserID: "asha", Expires: time.Now().Add(ttl), Rooms: rooms})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	type answer struct {
		Refused                      string
		Joined, Published, Forbidden struct {
			OK    bool
			Error struct{ Code, Right string }
		}
		Asked []int64
		Told  []string
		Ended bool
	}
	transports := []string{"websocket", "polling"}
	var scripts []*script
	var asks []map[string]any
	for _, transport := range transports {
		scripts = append(scripts, startScript(t, "testdata/stock_tokens.py"))
		asks = append(asks, map[string]any{"url": g.relays[0].URL(), "transport": transport})
	}
	for i, s := range scripts { // each waits past the end of its first token, both at once
		asks[i]["token"], asks[i]["next"], asks[i]["wait"] = mint(25*time.Second), mint(time.Hour), 28
		s.begin(asks[i])
	}
	for i, s := range scripts {
		var got answer
		s.end(asks[i], &got)
		if !got.Joined.OK || len(got.Asked) != 1 || len(got.Told) != 0 || got.Ended || !got.Published.OK ||
			got.Forbidden.Error.Code != "forbidden" || !slices.Contains([]string{"publish", "join"}, got.Forbidden.Error.Right) {
			t.Errorf("%s: %+v", transports[i], got)
		}
	}
	var got answer
	startScript(t, "testdata/stock_tokens.py").do(map[string]any{"url": g.relays[1].URL(), "transport": "websocket", "token": mint(time.Hour) + "x", "next": "", "wait": 1}, &got)
	if got.Refused == "" {
		t.Errorf("a bad token: %+v", got)
	}
}
