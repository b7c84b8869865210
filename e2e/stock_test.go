package e2e_test

import (
	"fmt"
	"testing"

	"setu/e2e/cluster"
	"setu/e2e/judge"
	"setu/e2e/member"
)

// stock is somebody else's client: it knows one relay, and comes back to it by
// itself. It rejoins with the last offset that it has seen.
type stock interface {
	connect(url string, auth map[string]string) member.User
	join(room string) stockJoined
	publish(room, id, data string) stockStored
	state() stockState
}

type stockJoined struct {
	OK       bool
	Count    int
	Messages []struct{ Seq uint64 }
}

type stockStored struct {
	OK        bool
	Seq       uint64
	Offset    string
	Duplicate bool
}

type stockState struct {
	Heard     map[uint64][]any // data by sequence number; more than one is a duplicate
	Rejoins   []bool           // whether each recovered
	Connected bool
}

// tellStory has a stock client on one relay chat with a member on the other,
// and lose its relay for a while.
func tellStory(t *testing.T, f *fleet, client stock) {
	asha := f.join("asha", f.tokyo)
	for n := range 5 {
		asha.Say(f.room, fmt.Sprintf("before %d", n))
	}
	user := client.connect(f.dublin.URL(), map[string]string{"name": "stock", "key": "the-secret-of-a-stock-client"})
	if user.Name != "stock" || user.ID == "" {
		t.Errorf("welcomed as %+v", user)
	}
	if joined := client.join(f.room); !joined.OK || joined.Count != 2 || len(joined.Messages) != 5 {
		t.Errorf("joined: %+v", joined)
	}
	asha.AwaitMessage(f.room, say(f, client, user, "s-1", "hello").id)
	asha.Say(f.room, "hello yourself")
	if again := say(f, client, user, "s-1", "hello"); !again.Duplicate || again.Seq != 6 {
		t.Errorf("the repeat was answered %+v", again)
	}
	awaitStock(t, client, 7)

	f.do("stop dublin", f.dublin.Stop)
	for n := range 5 {
		asha.Say(f.room, fmt.Sprintf("meanwhile %d", n))
	}
	f.do("start dublin", f.dublin.Start)
	awaitStock(t, client, 12)
	if rejoins := client.state().Rejoins; len(rejoins) != 1 || !rejoins[0] {
		t.Errorf("rejoins recovered: %v, want one", rejoins)
	}
	asha.AwaitMessage(f.room, say(f, client, user, "s-2", "back again").id)
	f.settle(asha)
	awaitStock(t, client, 14)
}

type said struct {
	stockStored
	id string
}

// say publishes and writes that into the history, for the judge of those who hear it.
func say(f *fleet, client stock, user member.User, id, data string) said {
	f.t.Helper()
	message := judge.Message{User: user.ID, ID: id, Data: fmt.Sprintf("%q", data)}
	f.history.Add(judge.Event{Client: user.Name, Kind: judge.Publishing, Room: f.room, Message: message})
	stored := client.publish(f.room, id, data)
	if !stored.OK {
		f.t.Fatalf("publishing was answered %+v", stored)
	}
	message.Seq, message.Offset = stored.Seq, stored.Offset
	f.history.Add(judge.Event{Client: user.Name, Kind: judge.Stored, Room: f.room, Message: message, Duplicate: stored.Duplicate})
	return said{stored, id}
}

// awaitStock waits until a client has all messages up to one, and each once.
func awaitStock(t *testing.T, client stock, upTo uint64) {
	t.Helper()
	cluster.Eventually(t, patience, fmt.Sprintf("the client has all %d", upTo), func() error {
		state := client.state()
		for seq := uint64(1); seq <= upTo; seq++ {
			switch len(state.Heard[seq]) {
			case 0:
				return fmt.Errorf("%d is missing, connected: %t", seq, state.Connected)
			case 1:
			default:
				t.Fatalf("%d came %d times", seq, len(state.Heard[seq]))
			}
		}
		return nil
	})
}
