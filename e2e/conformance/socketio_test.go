package conformance

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const socketIO = "/socket.io/"

func TestSocketIO(t *testing.T) {
	t.Parallel()
	t.Run("engine", func(t *testing.T) { engine(t, socketIO) })
	t.Run("connect", connect)
	t.Run("disconnect", disconnect)
	t.Run("message", message)
}

// accepted reads the answer to a CONNECT of a namespace, and the payload that the fixture shows.
func (k *socket) accepted(prefix, auth string) {
	k.t.Helper()
	packet := k.next()
	var o map[string]string
	if err := json.Unmarshal([]byte(strings.TrimPrefix(packet, "40"+prefix)), &o); err != nil || len(o) != 1 || o["sid"] == "" {
		k.t.Fatalf("%s: %v", packet, err)
	}
	k.wants("42" + prefix + `["auth",` + auth + `]`)
}

// connected opens a client that is connected to "/".
func connected(t *testing.T, settings ...string) *socket {
	t.Helper()
	k := serve(t, socketIO, settings...).dial(t, "")
	k.next()
	k.send("40")
	k.accepted("", "{}")
	return k
}

func connect(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, send, prefix, auth string }{
		{"should allow connection to the main namespace", "40", "", "{}"},
		{"should allow connection to the main namespace with a payload", `40{"token":"123"}`, "", `{"token":"123"}`},
		{"should allow connection to a custom namespace", "40/custom,", "/custom,", "{}"},
		{"should allow connection to a custom namespace with a payload", `40/custom,{"token":"abc"}`, "/custom,", `{"token":"abc"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := serve(t, socketIO, patient...).dial(t, "")
			k.next()
			k.send(tt.send)
			k.accepted(tt.prefix, tt.auth)
		})
	}
	t.Run("should disallow connection to an unknown namespace", func(t *testing.T) {
		t.Parallel()
		k := serve(t, socketIO, patient...).dial(t, "")
		k.next()
		k.send("40/random")
		k.wants(`44/random,{"message":"Invalid namespace"}`)
	})
	t.Run("should disallow connection with an invalid handshake", func(t *testing.T) {
		t.Parallel()
		k := serve(t, socketIO, patient...).dial(t, "")
		k.next()
		k.send("4abc")
		k.closed()
	})
	t.Run("should close the connection if no handshake is received", func(t *testing.T) {
		t.Parallel()
		start := time.Now()
		serve(t, socketIO, "PING_INTERVAL=1m", "PING_TIMEOUT=1m").dial(t, "").closed()
		if took := time.Since(start); took < time.Second {
			t.Errorf("closed after %s", took)
		}
	})
}

func disconnect(t *testing.T) {
	t.Parallel()
	t.Run("should disconnect from the main namespace", func(t *testing.T) {
		t.Parallel()
		k := connected(t, "PING_TIMEOUT=10s", "CONNECT_TIMEOUT=1m")
		k.send("41")
		k.wants("2")
	})
	t.Run("should connect then disconnect from a custom namespace", func(t *testing.T) {
		t.Parallel()
		k := connected(t, patient...)
		k.send("40/custom")
		k.accepted("/custom,", "{}")
		k.send("41/custom", `42["message","message to main namespace"]`)
		k.wants(`42["message-back","message to main namespace"]`)
	})
}

func message(t *testing.T) {
	t.Parallel()
	const placeholders = `{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}`
	for _, tt := range []struct {
		name, send string
		bytes      bool
		want       string
	}{
		{"should send a plain-text packet", `42["message",1,"2",{"3":[true]}]`, false, `42["message-back",1,"2",{"3":[true]}]`},
		{"should send a packet with binary attachments", `452-["message",` + placeholders + `]`, true, `452-["message-back",` + placeholders + `]`},
		{"should send a plain-text packet with an ack", `42456["message-with-ack",1,"2",{"3":[false]}]`, false, `43456[1,"2",{"3":[false]}]`},
		{"should send a packet with binary attachments and an ack", `452-789["message-with-ack",` + placeholders + `]`, true, `462-789[` + placeholders + `]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := connected(t, patient...)
			k.send(tt.send)
			if tt.bytes {
				k.sendBytes(1, 2, 3)
				k.sendBytes(4, 5, 6)
			}
			k.wants(tt.want)
			if tt.bytes {
				k.wants("bytes:\x01\x02\x03", "bytes:\x04\x05\x06")
			}
		})
	}
	for name, send := range map[string]string{
		"unknown packet type":    "4abc",
		"invalid payload format": "42{}",
		"invalid ack id":         `42abc["message-with-ack",1,"2",{"3":[false]}]`,
	} {
		t.Run("should close the connection upon invalid format/"+name, func(t *testing.T) {
			t.Parallel()
			k := connected(t, patient...)
			k.send(send)
			k.closed()
		})
	}
}

// The server may ask, too, which the suites leave out.
func TestServerSideAcks(t *testing.T) {
	t.Parallel()
	k := connected(t, patient...)
	k.send(`42["ask",{"a":1},"two"]`)
	k.wants(`421["asked",{"a":1},"two"]`)
	k.send(`431["an answer",{"b":1e400}]`)
	k.wants(`42["answered","an answer",{"b":1e400}]`)

	const placeholder = `{"_placeholder":true,"num":0}`
	k.send(`451-["ask",` + placeholder + `]`)
	k.sendBytes(1, 2)
	k.wants(`451-2["asked",`+placeholder+`]`, "bytes:\x01\x02")
	k.send(`461-2[` + placeholder + `]`)
	k.sendBytes(3, 4)
	k.wants(`451-["answered",`+placeholder+`]`, "bytes:\x03\x04")

	k.send(`432["again"]`, `4318446744073709551615[]`, `437[]`) // what nobody waits for any more
	k.send(`42["ask"]`, `42["ask"]`)
	k.wants(`423["asked"]`, `424["asked"]`)
	k.send(`434["four"]`, `433["three"]`) // in any order
	k.wants(`42["answered","four"]`, `42["answered","three"]`)

	k.send("40/custom,")
	k.accepted("/custom,", "{}")
	k.send(`42/custom,["ask"]`)
	k.wants(`42/custom,1["asked"]`) // each namespace counts for itself
	k.send(`43/custom,1["one"]`)
	k.wants(`42/custom,["answered","one"]`)
}

// They go over polling as well.
func TestServerSideAcksOverPolling(t *testing.T) {
	t.Parallel()
	s := serve(t, socketIO, patient...)
	query, _ := s.open(t)
	s.wants(t, "POST", query, "40", 200, "ok")
	s.ask(t, "GET", query, "")
	const placeholder = `{"_placeholder":true,"num":0}`
	s.wants(t, "POST", query, `451-["ask",`+placeholder+"]\x1ebAQI=", 200, "ok")
	got := ""
	for !strings.HasSuffix(got, "\x1ebAQI=") {
		_, content := s.ask(t, "GET", query, "")
		got = content
	}
	if got = got[strings.LastIndex("\x1e"+got[:len(got)-6], "\x1e"):]; got != `451-1["asked",`+placeholder+"]\x1ebAQI=" {
		t.Error(got)
	}
	s.wants(t, "POST", query, "461-1["+placeholder+"]\x1ebAwQ=", 200, "ok")
	s.wants(t, "GET", query, "", 200, `451-["answered",`+placeholder+"]\x1ebAwQ=")
}

// Who does not answer is waited for no longer than a second.
func TestAnswerThatComesTooLate(t *testing.T) {
	t.Parallel()
	k := connected(t, patient...)
	k.send(`42["ask"]`)
	k.wants(`421["asked"]`)
	<-time.After(1500 * time.Millisecond)
	k.send(`431["late"]`, `42["message","next"]`)
	k.wants(`42["message-back","next"]`)
}
