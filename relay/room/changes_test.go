package room

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
)

// A member learns from the answer that its user has joined. The presence event of that may come
// later, and is for the others.
func TestNobodyHearsOfItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, f := newTestHub(t)
		defer f.Memory.Close(t.Context())
		asha, ben := guest("asha"), guest("ben")
		for _, m := range []*member{asha, ben} {
			join(t, h, "room", m, JoinOptions{Presence: true})
			defer h.Leave("room", m)
		}
		<-time.After(time.Second)
		asha.got("presence")
		ben.got("presence")
		change := func(m *member, joined bool) broker.Change {
			text, _ := json.Marshal(m.user)
			return broker.Change{Joined: joined, Count: 2, User: string(text)}
		}
		for _, tt := range []struct {
			changes   []broker.Change
			asha, ben []string // what each is told
		}{
			{[]broker.Change{change(asha, true)}, nil, []string{"+asha"}},
			{[]broker.Change{change(asha, true), change(ben, true)}, []string{"+ben"}, []string{"+asha"}},
			{[]broker.Change{change(guest("cid"), false), change(ben, false), change(guest("dan"), true)}, []string{"+dan", "-cid", "-ben"}, []string{"+dan", "-cid"}},
		} {
			for _, ch := range tt.changes {
				h.room("room").Presence(ch)
			}
			<-time.After(time.Second)
			for m, want := range map[*member][]string{asha: tt.asha, ben: tt.ben} {
				if told := named(t, m.got("presence")); !slices.Equal(told, want) {
					t.Errorf("%s was told %v, want %v", m.user.Name, told, want)
				}
			}
		}
	})
}

// named returns who joined and who left by at most one presence event.
func named(t *testing.T, packets []string) (told []string) {
	t.Helper()
	for _, p := range packets {
		var args []json.RawMessage
		var body struct {
			Count        int
			Joined, Left []broker.User
		}
		if json.Unmarshal([]byte(p[2:]), &args) != nil || json.Unmarshal(args[1], &body) != nil || body.Count != 2 || told != nil {
			t.Fatal(packets)
		}
		for _, u := range body.Joined {
			told = append(told, fmt.Sprint("+", u.Name))
		}
		for _, u := range body.Left {
			told = append(told, fmt.Sprint("-", u.Name))
		}
	}
	return told
}
