package client

import (
	"reflect"
	"strings"
	"testing"

	"setu/relay/socketio"
)

// decoded reads a packet as all of them are read; ok is false if it is no message.
func decoded(packet []byte) (m Message, ok bool) {
	p, err := socketio.ParseDepth(packet, maxDepth)
	if err != nil || p.Type != socketio.Event || p.Namespace != "/" || p.HasID {
		return m, false
	}
	name, args, err := socketio.Arguments(p.Data)
	if err != nil || name != "message" || len(args) == 0 {
		return m, false
	}
	m.From.Region = unsaid
	if (payload{data: p.Data}).read(args[0], &m) != nil {
		return m, false
	}
	m.expand(args[1:], "nrt")
	return m, true
}

// scanned reads a packet by scanMessage.
func scanned(packet []byte) (m Message, ok bool) {
	m, offset, ok := scanMessage(packet)
	m.expand(nil, "nrt")
	m.Offset = offset
	return m, ok
}

const usualMessage = `2["message",{"room":"harbour","seq":7,"id":"x1","from":{"id":"~Ab3dEf6hIj9lMn0p","name":"Åsa"},"data":{"text":"good morning, “all”"},"at":1700000000007},"e.c.7.d"]`

// What has the usual form is read by scanning, and what has not is left to others: with valid changes of it,
// and others.
func TestScanMessage(t *testing.T) {
	yes := []string{
		usualMessage,
		strings.Replace(usualMessage, `,"name":"Åsa"`, ``, 1),
		strings.Replace(usualMessage, `"Åsa"`, `"Åsa","region":"fra"`, 1),
		strings.Replace(usualMessage, `,"name":"Åsa"`, `,"region":""`, 1),
		strings.Replace(usualMessage, `"~Ab3dEf6hIj9lMn0p"`, `"u"`, 1),
		strings.Replace(usualMessage, `{"text":"good morning, “all”"}`, `[1,{"at":1},",\"at\":2},\"x\"]"]`, 1),
		strings.Replace(usualMessage, `{"text":"good morning, “all”"}`, `{"_placeholder":true,"num":0}`, 1),
		strings.Replace(usualMessage, `7,`, `0,`, 1),
	}
	no := []string{
		"", "2", `2["message"]`, usualMessage[:len(usualMessage)-1], usualMessage + " ", " " + usualMessage, usualMessage + "]",
		strings.Replace(usualMessage, `2[`, `21[`, 1), strings.Replace(usualMessage, `2[`, `2/x,[`, 1), strings.Replace(usualMessage, `2[`, `51-[`, 1),
		strings.Replace(usualMessage, `message`, `Message`, 1), strings.Replace(usualMessage, `"room"`, `"Room"`, 1),
		strings.Replace(usualMessage, `"seq":7`, `"seq":07`, 1), strings.Replace(usualMessage, `"seq":7`, `"seq":-7`, 1),
		strings.Replace(usualMessage, `"seq":7`, `"seq":7.0`, 1), strings.Replace(usualMessage, `"seq":7`, `"seq":`, 1),
		strings.Replace(usualMessage, `"seq":7`, `"seq":9223372036854775808`, 1), strings.Replace(usualMessage, `harbour`, `har\u0062our`, 1),
		strings.Replace(usualMessage, `harbour`, "har\x00bour", 1), strings.Replace(usualMessage, `harbour`, "har\xffbour", 1),
		strings.Replace(usualMessage, `Åsa"`, `Åsa","guest":true`, 1), strings.Replace(usualMessage, `},"e.c`, `,"offset":"e.b"},"e.c`, 1),
		strings.Replace(usualMessage, `{"text":"good morning, “all”"}`, `null`, 1), strings.Replace(usualMessage, `{"text":"good morning, “all”"}`, ` {}`, 1),
		strings.Replace(usualMessage, `{"text":"good morning, “all”"}`, `{},"at":1`, 1), strings.Replace(usualMessage, `{"text":"good morning, “all”"}`, `{}}`, 1),
		strings.Replace(usualMessage, `{"text":"good morning, “all”"}`, `{"a":1],"b":[2}`, 1),
		strings.Replace(usualMessage, `{"text":"good morning, “all”"}`, strings.Repeat("[", 600)+strings.Repeat("]", 600), 1),
		strings.Replace(usualMessage, `,"e.c.7.d"`, ``, 1), strings.Replace(usualMessage, `"e.c.7.d"`, `"e.c.7.d","x"`, 1),
		strings.Replace(usualMessage, `"at":1700000000007`, `"at":1e3`, 1),
	}
	for _, packet := range yes {
		if _, ok := scanned([]byte(packet)); !ok {
			t.Errorf("left to others: %s", packet)
		}
		checkScanned(t, []byte(packet))
	}
	for _, packet := range no {
		if m, ok := scanned([]byte(packet)); ok {
			t.Errorf("%s: %+v", packet, m)
		}
	}
}

// checkScanned fails the test if a packet is read by scanning, and otherwise than by decoding it.
func checkScanned(t *testing.T, packet []byte) {
	t.Helper()
	got, ok := scanned(packet)
	if !ok {
		return
	}
	if want, valid := decoded(packet); !valid || !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n%+v, want (%v)\n%+v", packet, got, valid, want)
	}
}

func FuzzScanMessage(f *testing.F) {
	f.Add([]byte(usualMessage))
	f.Add([]byte(strings.Replace(usualMessage, `"Åsa"`, `"Åsa","region":"fra"`, 1)))
	f.Add([]byte(strings.Replace(usualMessage, `{"text":"good morning, “all”"}`, `[1,{"at":1},",\"at\":2},\"x\"]"]`, 1)))
	f.Fuzz(func(t *testing.T, packet []byte) { checkScanned(t, packet) })
}

func BenchmarkScanMessage(b *testing.B) {
	for name, read := range map[string]func([]byte) (Message, bool){"scanned": scanned, "decoded": decoded} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				read([]byte(usualMessage))
			}
		})
	}
}
