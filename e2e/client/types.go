package client

import (
	"encoding/json"
	"fmt"
	"hash/fnv"

	"setu/e2e/judge"
)

// User is somebody as others see him.
type User struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Guest bool   `json:"guest"`
}

// JoinOptions are what a join may ask for.
type JoinOptions struct {
	Since    string
	History  int
	Presence bool
}

// Joined is the answer to a join.
type Joined struct {
	Offset    string
	Recovered bool
	Messages  []judge.Message
	Count     int
	Members   []User
}

// Stored is the answer to a publish.
type Stored struct {
	ID        string `json:"id"`
	Offset    string `json:"offset"`
	Seq       uint64 `json:"seq"`
	At        int64  `json:"at"`
	Duplicate bool   `json:"duplicate"`
}

// Presence is a change of who is in a room.
type Presence struct {
	Count  int    `json:"count"`
	Joined []User `json:"joined"`
	Left   []User `json:"left"`
}

// String is the change in a line.
func (p Presence) String() string {
	text := fmt.Sprintf("presence %d", p.Count)
	for _, u := range p.Joined {
		text += " +" + u.Name
	}
	for _, u := range p.Left {
		text += " -" + u.Name
	}
	return text
}

// Reset is what a client is told of a history that is gone.
type Reset struct {
	Reason   string
	Messages []judge.Message
}

// Page is an answer to history.
type Page struct {
	Messages []judge.Message
	More     bool
}

// Refusal is an answer that says no.
type Refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Retry   int64  `json:"retry"`
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

// wireMessage is a message as it comes.
type wireMessage struct {
	Room   string          `json:"room"`
	Seq    uint64          `json:"seq"`
	ID     string          `json:"id"`
	From   User            `json:"from"`
	At     int64           `json:"at"`
	Data   json.RawMessage `json:"data"`
	Offset string          `json:"offset"`
}

func (m wireMessage) judged() judge.Message {
	return judge.Message{User: m.From.ID, ID: m.ID, Seq: m.Seq, Offset: m.Offset, Data: short(m.Data)}
}

func judged(messages []wireMessage) []judge.Message {
	out := make([]judge.Message, len(messages))
	for i, m := range messages {
		out[i] = m.judged()
	}
	return out
}

// short stands for data that would fill a history.
func short(data []byte) string {
	const most = 100
	if len(data) <= most {
		return string(data)
	}
	sum := fnv.New64a()
	_, _ = sum.Write(data)
	return fmt.Sprintf("%s… %d bytes, %x", data[:40], len(data), sum.Sum64())
}

// answer is what all acks have in common.
type answer struct {
	OK    bool     `json:"ok"`
	Error *Refusal `json:"error"`
}

// decode reads an ack into out, or returns the refusal that it is.
func decode(text json.RawMessage, out any) error {
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return err
	}
	if !a.OK {
		if a.Error == nil {
			return fmt.Errorf("neither ok nor an error: %s", text)
		}
		return a.Error
	}
	return json.Unmarshal(text, out)
}
