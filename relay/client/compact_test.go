package client

import (
	"encoding/json"
	"testing"
)

func TestExpand(t *testing.T) {
	after := []json.RawMessage{json.RawMessage(`"e.c.3.d"`)}
	for in, want := range map[string]Message{
		`{"from":{"id":"~Ab3dEf6hIj9lMn0p"}}`:               {From: User{ID: "~Ab3dEf6hIj9lMn0p", Name: "guest-ab3d", Guest: true}, Offset: "e.c.3.d"},
		`{"from":{"id":"~Ab3dEf6hIj9lMn0p","name":"Asha"}}`: {From: User{ID: "~Ab3dEf6hIj9lMn0p", Name: "Asha", Guest: true}, Offset: "e.c.3.d"},
		`{"from":{"id":"u","name":"Ben"}}`:                  {From: User{ID: "u", Name: "Ben", Guest: false}, Offset: "e.c.3.d"},
		`{"from":{"id":"~A"}}`:                              {From: User{ID: "~A", Name: "guest-a", Guest: true}, Offset: "e.c.3.d"},
		`{}`:                                                {Offset: "e.c.3.d"},
		`{"from":{"id":"~Ab","name":"Asha","guest":true},"offset":"e.b.2.d"}`:   {From: User{ID: "~Ab", Name: "Asha", Guest: true}, Offset: "e.b.2.d"},
		`{"from":{"id":"u","name":"guest-u","guest":false},"offset":"e.b.2.d"}`: {From: User{ID: "u", Name: "guest-u", Guest: false}, Offset: "e.b.2.d"},
	} {
		var m Message
		if err := json.Unmarshal([]byte(in), &m); err != nil {
			t.Fatal(err)
		}
		if m.expand(after, ""); m.From != want.From || m.Offset != want.Offset {
			t.Errorf("%s: %+v, want %+v", in, m, want)
		}
	}
	const here = "nrt"
	for in, want := range map[string]string{ // by what is said of it
		`{"from":{"id":"u"}}`:                                 here,
		`{"from":{"id":"u","region":""}}`:                     "",
		`{"from":{"id":"u","region":"fra"}}`:                  "fra",
		`{"from":{"id":"u"},"offset":"e.b.2.d"}`:              "", // it is not compact
		`{"from":{"id":"u","region":"x"},"offset":"e.b.2.d"}`: "x",
	} {
		m := Message{From: User{Region: unsaid}}
		if err := json.Unmarshal([]byte(in), &m); err != nil {
			t.Fatal(err)
		}
		if m.expand(after, here); m.From.Region != want {
			t.Errorf("%s: from region %q, want %q", in, m.From.Region, want)
		}
	}
	for _, none := range [][]json.RawMessage{nil, {json.RawMessage(`1`)}} {
		var m Message
		if m.expand(none, ""); m.Offset != "" {
			t.Errorf("%s: offset %q", none, m.Offset)
		}
	}
}
