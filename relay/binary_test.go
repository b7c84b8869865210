package relay

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

const reference = `{"_placeholder":true,"num":%d}`

// sayBinary sends an event with attachments, with an ack id.
func (p *peer) sayBinary(event, arg string, attachments ...string) (id string) {
	p.t.Helper()
	p.acks++
	id = fmt.Sprint(p.acks)
	b := clientFrame(0x81, fmt.Appendf(nil, `45%d-%s["%s",%s]`, len(attachments), id, event, arg))
	for _, a := range attachments {
		b = append(b, clientFrame(0x82, []byte(a))...)
	}
	p.write(b)
	return id
}

// binary reads a packet and so many attachments.
func (p *peer) binary(n int) (packet string, attachments []string) {
	p.t.Helper()
	packet = p.packet()
	for range n {
		attachments = append(attachments, string(p.frameOf(opBinary).payload))
	}
	return packet, attachments
}

// What is published as binary is heard as binary, by its sender, too, and found as binary in history and on joining.
func TestBinaryMessages(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		asha, ben := r.member("asha", "room"), r.member("ben", "room")
		two := fmt.Sprintf(`{"a": [`+reference+`, 1.10], "b":{"num": 1 ,"_\u0070laceholder":true}}`, 0)
		id := asha.sayBinary("publish", `{"room":"room","id":"m1","data":`+two+`}`, "cat", "")
		const data = `"data":{"a": [{"_placeholder":true,"num":0}, 1.10], "b":{"_placeholder":true,"num":1}}`
		for _, p := range []*peer{asha, ben} {
			packet, got := p.binary(2)
			if !strings.HasPrefix(packet, `452-["message",{"room":"room","seq":1,"id":"m1",`) || !strings.Contains(packet, data) || got[0] != "cat" || got[1] != "" {
				t.Error(packet, got)
			}
		}
		if ack := asha.answer(id); field(t, ack, "seq") != "1" {
			t.Error(ack)
		}
		asha.call("publish", `{"room":"room","data":"plain"}`)
		asha.held = nil
		ben.packet()
		asha.sayBinary("publish", fmt.Sprintf(`{"room":"room","data":`+reference+`}`, 0), "dog")
		ben.binary(1)
		for _, ask := range []string{"history", "join"} {
			p := r.guest("cid")
			p.text(`427["` + ask + `",{"room":"room","history":9}]`)
			packet, got := p.binary(3)
			if !strings.HasPrefix(packet, `463-7[{"ok":true,`) || !strings.Contains(packet, data) || !strings.Contains(packet, `"data":{"_placeholder":true,"num":2}`) ||
				fmt.Sprint(got) != "[cat  dog]" {
				t.Error(packet, got)
			}
		}
	})
}

// A signal may be binary, and whoever polls gets base64.
func TestBinaryOverPolling(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		asha := r.member("asha", "room")
		p := r.pollingMember("ben", "room")
		p.say(fmt.Sprintf(`451-["signal",{"room":"room","data":`+reference+`}]`, 0), "bAQID")
		packet, got := asha.binary(1)
		if !strings.HasPrefix(packet, `451-["signal",{"room":"room","from":{`) || got[0] != "\x01\x02\x03" {
			t.Error(packet, got)
		}
		asha.sayBinary("publish", fmt.Sprintf(`{"room":"room","data":[`+reference+`]}`, 0), "\x04\x05")
		if got := p.get(); !strings.HasPrefix(got.body, `451-["message",`) || !strings.HasSuffix(got.body, "\x1ebBAU=") {
			t.Errorf("%q", got.body)
		}
	})
}

// A reference that goes nowhere costs its sender the connection, and nobody hears of it.
func TestCVE20222421(t *testing.T) {
	for _, num := range []string{`"0"`, `-1`, `0.5`, `1e0`, `1`, `null`, `{}`, `[0]`, `true`, `"__proto__"`, `99999999999999999999`} {
		t.Run(num, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				witness, p := r.member("witness", "room"), r.member("p", "room")
				p.text(`451-1["publish",{"room":"room","data":{"_placeholder":true,"num":` + num + `}}]`)
				if code, reason := p.closed(); code != closeProtocol || !strings.Contains(reason, "placeholder") {
					t.Errorf("closed with %d %q", code, reason)
				}
				p.eof()
				witness.nothing()
				synctest.Wait()
				if n := r.srv.count(); n != 1 {
					t.Errorf("%d sessions are left", n)
				}
			})
		})
	}
}

// What only looks like a reference is data, and never stands where a client would take it for one.
func TestLiteralPlaceholders(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.member("p", "room")
		const literal = `{"_placeholder":true,"num":7}`
		p.call("publish", `{"room":"room","data":`+literal+`}`)
		if s := p.packet(); !strings.HasPrefix(s, `42["message",`) || !strings.Contains(s, `"data":`+literal) {
			t.Error(s)
		}
		p.sayBinary("publish", fmt.Sprintf(`{"room":"room","data":`+reference+`}`, 0), "x")
		p.binary(1)
		p.packet()
		p.text(`429["history",{"room":"room"}]`)
		packet, _ := p.binary(1)
		if !strings.HasPrefix(packet, `461-9[`) || strings.Contains(packet, literal) || !strings.HasSuffix(packet, `"more":true}]`) {
			t.Error(packet)
		}
		first := field(t, strings.TrimSuffix(strings.TrimPrefix(packet, "461-9["), "]"), "messages")
		offset := first[strings.LastIndex(first, `"offset":`)+len(`"offset":`) : strings.LastIndex(first, "}")]
		if ack := p.call("history", `{"room":"room","before":`+offset+`}`); !strings.Contains(ack, literal) {
			t.Error(ack)
		}
	})
}
