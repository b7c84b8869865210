package e2e_test

import (
	"encoding/json"
	"slices"
	"sync"
	"testing"

	"setu/e2e/client"
	"setu/e2e/cluster"
)

// Stories that break nothing share one fleet.
func TestTwoRelays(t *testing.T) {
	t.Parallel()
	f := startFleet(t, cluster.RedisOptions{}, nil)
	for name, story := range map[string]func(*testing.T, *fleet){
		"members see one order":                       seeOneOrder,
		"a publish is repeated on the other relay":    repeatPublish,
		"history and since":                           readHistory,
		"data passes byte for byte":                   passData,
		"members are told who is there":               seePresence,
		"two tabs are one user":                       openTwoTabs,
		"signals reach the others and are not stored": signal,
	} {
		t.Run(name, func(t *testing.T) { story(t, f.in(t)) })
	}
}

func seeOneOrder(t *testing.T, f *fleet) {
	asha, ben := f.join("asha", f.dublin), f.join("ben", f.tokyo)
	cleo, dan := f.join("cleo", f.dublin), f.join("dan", f.tokyo)
	everyone := []*client.Client{asha, ben, cleo, dan}

	// All talk at once: asha and dan wait for their answers, ben and cleo don't.
	const each = 40
	var talking sync.WaitGroup
	say := func(m *client.Client) {
		if _, err := m.Publish(t.Context(), f.room, m.NewID(), "hello from "+m.Name()); err != nil {
			t.Errorf("%s: %v", m.Name(), err)
		}
	}
	for range each {
		talking.Go(func() { say(ben) })
		talking.Go(func() { say(cleo) })
	}
	for _, m := range []*client.Client{asha, dan} {
		talking.Go(func() {
			for range each {
				say(m)
			}
		})
	}
	talking.Wait()

	verdict := f.conclude(everyone...)
	if want := each*len(everyone) + 1; verdict.Stored != want || verdict.Received != want*len(everyone) {
		t.Errorf("want %d stored and heard by all four: %s", want, verdict)
	}
	for _, m := range everyone[1:] {
		if !slices.Equal(m.Messages(f.room), asha.Messages(f.room)) {
			t.Errorf("%s and asha have not the same on their screens", m.Name())
		}
	}
}

func repeatPublish(t *testing.T, f *fleet) {
	asha, ben := f.join("asha", f.dublin, f.tokyo), f.join("ben", f.tokyo)

	first, err := asha.Publish(t.Context(), f.room, "once", "hello")
	if err != nil || first.Duplicate || first.Seq != 1 {
		t.Fatalf("the first publish: %+v, %v", first, err)
	}
	// Her answer was lost, she believes, and she is on the other relay now.
	asha.Prefer(f.tokyo.WS())
	asha.Cut()
	asha.AwaitRelay("tokyo")
	again, err := asha.Publish(t.Context(), f.room, "once", "hello")
	if err != nil || !again.Duplicate || again.Offset != first.Offset || again.Seq != first.Seq || again.At != first.At {
		t.Errorf("repeated: %+v, %v; want a duplicate of %+v", again, err, first)
	}
	// Another user's same id is another message.
	other, err := ben.Publish(t.Context(), f.room, "once", "hello too")
	if err != nil || other.Duplicate || other.Seq != 2 {
		t.Errorf("ben's: %+v, %v", other, err)
	}
	if verdict := f.conclude(asha, ben); verdict.Stored != 3 || verdict.Repeated != 1 || verdict.Recovered != 1 {
		t.Errorf("want three messages and one repeat: %s", verdict)
	}
}

func readHistory(t *testing.T, f *fleet) {
	asha := f.join("asha", f.dublin)
	var offsets []string
	for n := range 30 {
		offsets = append(offsets, asha.Say(f.room, n).Offset)
	}

	// Ben comes later, over a relay on which the room has not been live.
	ben := f.connect("ben", f.tokyo)
	joined := ben.Join(f.room, client.JoinOptions{History: 10})
	if len(joined.Messages) != 10 || joined.Messages[0].Seq != 21 || joined.Recovered || joined.Offset != offsets[29] {
		t.Errorf("the last ten: %+v", joined)
	}
	ben.Leave(f.room)
	joined = ben.Join(f.room, client.JoinOptions{Since: offsets[4]})
	if len(joined.Messages) != 25 || joined.Messages[0].Seq != 6 || !joined.Recovered {
		t.Errorf("since the fifth: %+v", joined)
	}
	page := ben.History(f.room, offsets[9], 5)
	if len(page.Messages) != 5 || page.Messages[0].Seq != 5 || !page.More {
		t.Errorf("five before the tenth: %+v", page)
	}
	page = ben.History(f.room, offsets[4], 100)
	if len(page.Messages) != 4 || page.Messages[0].Seq != 1 || page.More {
		t.Errorf("all before the fifth: %+v", page)
	}
	f.conclude(asha, ben)
}

func passData(t *testing.T, f *fleet) {
	asha, ben := f.join("asha", f.dublin), f.join("ben", f.tokyo)
	for _, data := range []string{
		`{"z":1,"a":2,"z":3}`, `9007199254740993`, `1.50e+003`, `"<b>&amp;</b>"`, `"\u0041\ud83d\ude00 ' \u2028"`, `null`, `[[],{},"",false]`,
	} {
		id := asha.NewID()
		if _, err := asha.Publish(t.Context(), f.room, id, json.RawMessage(data)); err != nil {
			t.Errorf("%s: %v", data, err)
			continue
		}
		ben.AwaitMessage(f.room, id)
		if heard := ben.Messages(f.room); heard[len(heard)-1].Data != data {
			t.Errorf("%s came as %s", data, heard[len(heard)-1].Data)
		}
	}
	f.conclude(asha, ben)
}
