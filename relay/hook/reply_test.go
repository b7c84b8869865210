package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"setu/relay/auth"
	"setu/relay/metrics"
	"setu/relay/socketio"
)

func texts(args []json.RawMessage) (out []string) {
	for _, a := range args {
		out = append(out, string(a))
	}
	return out
}

func TestReplies(t *testing.T) {
	r, err := readReply(metrics.HookConnect, Answer{200, []byte(` {"user": {"id": "ada", "name": "Ada"}, "rights": {"team-*": ["join", "publish"]}, "rooms": ["a", "b"],
		"data": { "plan" : 1.10 }, "join": ["c"], "leave": ["d"], "disconnect": true, "later": {"x": 1}, "ack": null,
		"emit": [{"event": "e", "args": ["<é>", {"a": 1.10, "b": {"$binary": "AP8="}}]}, {"room": "a", "event": "f", "stored": true, "self": false}]} `)})
	if err != nil {
		t.Fatal(err)
	}
	if *r.User != (User{"ada", "Ada"}) || r.Rights.Of("team-1") != auth.Join|auth.Publish || r.Rights.Of("x") != 0 || !slices.Equal(r.Rooms, []string{"a", "b"}) ||
		string(r.Data) != `{"plan":1.10}` || !slices.Equal(r.Join, []string{"c"}) || !slices.Equal(r.Leave, []string{"d"}) || !r.End || len(r.Emit) != 2 {
		t.Errorf("%+v", r)
	}
	first, second := r.Emit[0], r.Emit[1]
	if got := texts(first.Args.Values); !slices.Equal(got, []string{`"<é>"`, `{"a":1.10,"b":{"_placeholder":true,"num":0}}`}) || !bytes.Equal(first.Args.Attachments[0], []byte{0, 255}) {
		t.Errorf("%q %v", got, first.Args.Attachments)
	}
	if second.Room != "a" || !second.Stored || second.Self == nil || *second.Self || second.Args.Values != nil {
		t.Errorf("%+v", second)
	}
	for _, body := range []string{"", " \n", "{}", `{"user":null,"rights":null,"rooms":null,"emit":null}`} {
		r, err := readReply(metrics.HookEvent, Answer{204, []byte(body)})
		if err != nil || r.User != nil || r.Data != nil || r.Rights != nil || r.End || r.Ack.Values != nil {
			t.Errorf("%q: %+v, %v", body, r, err)
		}
	}
	if r, err := readReply(metrics.HookEvent, Answer{200, []byte(`{"ack":[],"data":null}`)}); err != nil || r.Ack.Values == nil || string(r.Data) != "null" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := readReply(metrics.HookPublish, Answer{200, []byte(`{"message":{"event":"e","args":[1]}}`)}); err != nil || r.Change.Event != "e" || len(r.Change.Args.Values) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestRefusals(t *testing.T) {
	var refused *Refusal
	_, err := readReply(metrics.HookJoin, Answer{403, []byte(`{"code":"banned","message":"not you","more":1}`)})
	if !errors.As(err, &refused) || *refused != (Refusal{"banned", "not you"}) {
		t.Error(err)
	}
	if _, err = readReply(metrics.HookJoin, Answer{422, []byte(`{"code":"banned"}`)}); !errors.As(err, &refused) || refused.Message != "banned" {
		t.Error(err)
	}
	// What a gateway says that finds no app, or too much to do, refuses nobody.
	for _, a := range []Answer{{404, []byte("<html>")}, {403, []byte(`{"message":"Forbidden"}`)}, {404, nil}, {429, []byte(`{"code":"slow","message":"down"}`)}, {408, []byte(`{"code":"x"}`)},
		{400, []byte(`{"code":7}`)}, {400, []byte(`{"code":"a\nb"}`)}, {400, []byte(`{"code":"` + strings.Repeat("x", 65) + `"}`)}, {400, []byte(`{"code":"x","message":"` + strings.Repeat("x", 1001) + `"}`)},
		{500, []byte(`{"code":"x"}`)}, {302, nil}, {101, nil}} {
		if _, err := readReply(metrics.HookConnect, a); err == nil || errors.As(err, &refused) {
			t.Errorf("%d %s: %v", a.Status, a.Body, err)
		}
	}
}

// An answer that can't be used is told of by what is wrong with it, and not by what is in it.
func TestBadReplies(t *testing.T) {
	for body, why := range map[string]string{
		"s3cr3t":                          "it is no JSON object",
		`["s3cr3t"]`:                      "it is no JSON object",
		`null`:                            "it is no JSON object",
		`{"data":1} s3cr3t`:               "it is no JSON object",
		`{"user":"s3cr3t"}`:               "user: is not of its type",
		`{"user":{"id":7}}`:               "user: is not of its type",
		`{"join":"s3cr3t"}`:               "join: is not of its type",
		`{"rights":{"a":["s3cr3t"]}}`:     "rights: there is no right",
		`{"ack":"s3cr3t"}`:                "ack: must be a list",
		`{"ack":[{"$binary":"s3cr3t!"}]}`: "ack: what is in a {\"$binary\": …} is no base64",
		`{"emit":[{"event":"a","args":{"s3cr3t":1}}]}`:             "emit: must be a list",
		`{"emit":[{"room":"a","user":"b","event":"c"}]}`:           "emit[0]: it is for a room, a user or a session",
		`{"emit":[{"event":"c","stored":true}]}`:                   "emit[0]: stored and self are for rooms",
		`{"emit":[{"user":"b","event":"c","self":false}]}`:         "emit[0]: stored and self are for rooms",
		`{"message":{"data":1}}`:                                   "message is for what is asked on publish alone",
		`{"rooms":[]}`:                                             "user and rooms are for what is asked on connect alone",
		`{"data":"` + strings.Repeat("x", MaxData) + `"}`:          "data has 4098 bytes",
		`{"join":[` + strings.Repeat(`"a",`, maxActions) + `"a"]}`: "have at most 200 items",
		`{"ack":[1` + strings.Repeat(`,1`, maxArgs) + `]}`:         "ack: they are more than 254",
		`{"ack":[` + strings.Repeat("[", socketio.MaxDepth-1) + strings.Repeat("]", socketio.MaxDepth-1) + `]}`: "ack: they are nested deeper",
		`{"ack":[` + strings.Repeat(`{"$binary":""},`, 11) + `1]}`:                                              "ack: they hold more than 10 binary values",
		`{"ack":[{"$binary":""},{"_placeholder":true,"num":0}]}`:                                                "ack: beside binary values",
		`{"disconnect":"s3cr3t"}`: "disconnect: is not of its type",
	} {
		_, err := readReply(metrics.HookEvent, Answer{200, []byte(body)})
		if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(strings.ReplaceAll(err.Error(), `there is no right "s3cr3t"`, ""), "s3cr3t") {
			t.Errorf("%.60s: %v", body, err)
		}
	}
	if _, err := readReply(metrics.HookPublish, Answer{200, []byte(`{"message":{}}`)}); err == nil {
		t.Error("a message that is none")
	}
	if _, err := readReply(metrics.HookPublish, Answer{200, []byte(`{"ack":[]}`)}); err == nil {
		t.Error("an ack of a publish")
	}
}

func TestBinaryArguments(t *testing.T) {
	args := []json.RawMessage{json.RawMessage(`{"num":1, "_placeholder":true}`), json.RawMessage(`[1.10,{"_placeholder":true,"num":0,"x":1}]`), json.RawMessage(`"$"`)}
	in, err := InlineAll(args, [][]byte{{1, 2}, nil})
	if got := texts(in); err != nil || !slices.Equal(got, []string{`{"$binary":""}`, `[1.10,{"$binary":"AQI="}]`, `"$"`}) {
		t.Fatalf("%q, %v", got, err)
	}
	out, attachments, err := lift(in)
	if got := texts(out); err != nil || !slices.Equal(got, []string{`{"_placeholder":true,"num":0}`, `[1.10,{"_placeholder":true,"num":1}]`, `"$"`}) ||
		len(attachments) != 2 || len(attachments[0]) != 0 || !bytes.Equal(attachments[1], []byte{1, 2}) {
		t.Fatalf("%q %v, %v", got, attachments, err)
	}
	if _, err := InlineAll([]json.RawMessage{json.RawMessage(`{"_placeholder":true,"num":2}`)}, [][]byte{nil}); err == nil {
		t.Error("a placeholder of nothing")
	}
	for in, want := range map[string]string{ // no binary values
		`{"$binary":"AA==","x":1.10}`: "", `{"x":1,"$binary":"AA=="}`: "", `{"$binary":1}`: "", `{"$binary":{"$binary":"AA=="}}`: `{"$binary":{"_placeholder":true,"num":0}}`,
		`{"\u0024binary":"AA=="}`: `{"_placeholder":true,"num":0}`, `"{\"$binary\":\"AA==\"}"`: "", `{"a":"\u00e9$binary"}`: "", `{}`: "", `[]`: "", `1e400`: "",
	} {
		out, _, err := lift([]json.RawMessage{json.RawMessage(in)})
		if want == "" {
			want = in
		}
		if err != nil || string(out[0]) != want {
			t.Errorf("%s: %s, %v", in, out, err)
		}
	}
	// Without binary values a literal placeholder is data like any other.
	if out, attachments, err := lift([]json.RawMessage{json.RawMessage(`{"_placeholder":true,"num":0}`)}); err != nil || len(attachments) > 0 || string(out[0]) != `{"_placeholder":true,"num":0}` {
		t.Error(out, err)
	}
}

// Whatever an app answers, what is taken of it can be sent to clients.
func FuzzReply(f *testing.F) {
	f.Add("event", 200, []byte(`{"ack":[{"$binary":"AA=="}],"emit":[{"room":"a","event":"e","args":[1]}],"data":{}}`))
	f.Add("connect", 200, []byte(`{"user":{"id":"a"},"rights":{"*":["join"]},"rooms":["a"]}`))
	f.Add("publish", 200, []byte(`{"message":{"data":{"$binary":"AA=="}}}`))
	f.Add("join", 403, []byte(`{"code":"a","message":"b"}`))
	f.Fuzz(func(t *testing.T, kind string, status int, body []byte) {
		r, err := readReply(metrics.Hook(kind), Answer{status, body})
		var refused *Refusal
		if errors.As(err, &refused) && (refused.Code == "" || len(refused.Message) > maxMessage) {
			t.Fatalf("%+v", refused)
		}
		if err != nil {
			return
		}
		if r.Data != nil && (!json.Valid(r.Data) || len(r.Data) > MaxData) {
			t.Fatalf("%s", r.Data)
		}
		all := []Arguments{r.Ack}
		for _, e := range r.Emit {
			all = append(all, e.Args)
		}
		for _, a := range all {
			sendable(t, a)
		}
	})
}

// sendable fails the test if clients would not take these arguments.
func sendable(t *testing.T, a Arguments) {
	t.Helper()
	name, offset := json.RawMessage(`"e"`), json.RawMessage(`"o"`)
	text, err := json.Marshal(slices.Concat([]json.RawMessage{name}, a.Values, []json.RawMessage{offset}))
	if err != nil {
		t.Fatalf("%q: %v", a.Values, err)
	}
	p := socketio.Packet{Type: socketio.Event, Data: text, Attachments: len(a.Attachments)}
	if p.Attachments > 0 {
		p.Type = socketio.BinaryEvent
	}
	packet, err := p.Append(nil)
	if err == nil {
		_, err = socketio.Parse(packet)
	}
	if err != nil {
		t.Fatalf("%s: %v", packet, err)
	}
	if found, err := socketio.Resolve(text, len(a.Attachments), func(dst []byte, _ int) []byte { return dst }); len(a.Attachments) > 0 && (err != nil || bytes.Contains(found, []byte("_placeholder"))) {
		t.Fatalf("%s: %v", text, err)
	}
}
