package relay

import (
	"fmt"
	"setu/relay/wiretest"
	"strings"
	"testing"
	"testing/synctest"
)

const reference = `{"_placeholder":true,"num":%d}`

// sayBinary sends an event with attachments, with an ack id.
func sayBinary(p *wiretest.Peer, event, arg string, attachments ...string) (id string) {
	p.T.Helper()
	p.Acks++
	id = fmt.Sprint(p.Acks)
	b := wiretest.ClientFrame(0x81, fmt.Appendf(nil, `45%d-%s["%s",%s]`, len(attachments), id, event, arg))
	for _, a := range attachments {
		b = append(b, wiretest.ClientFrame(0x82, []byte(a))...)
	}
	p.Write(b)
	return id
}

// binary reads a packet and n attachments.
func binary(p *wiretest.Peer, n int) (packet string, attachments []string) {
	p.T.Helper()
	packet = p.Packet()
	for range n {
		attachments = append(attachments, string(p.FrameOf(wiretest.OpBinary).Payload))
	}
	return packet, attachments
}

// What is published as binary is heard as binary, by its sender, too, and found as binary in
// history and on joining.
func TestBinaryMessages(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		asha, ben := r.member("asha", "room"), r.member("ben", "room")
		two := fmt.Sprintf(`{"a": [`+reference+`, 1.10], "b":{"num": 1 ,"_\u0070laceholder":true}}`, 0)
		id := sayBinary(asha, "publish", `{"room":"room","id":"m1","data":`+two+`}`, "cat", "")
		const data = `"data":{"a": [{"_placeholder":true,"num":0}, 1.10], "b":{"_placeholder":true,"num":1}}`
		for _, p := range []*wiretest.Peer{asha, ben} {
			packet, got := binary(p, 2)
			if !strings.HasPrefix(packet, `452-["message",{"room":"room","seq":1,"id":"m1",`) || !strings.Contains(packet, data) || got[0] != "cat" || got[1] != "" {
				t.Error(packet, got)
			}
		}
		if ack := asha.Answer(id); wiretest.Field(t, ack, "seq") != "1" {
			t.Error(ack)
		}
		asha.Call("publish", `{"room":"room","data":"plain"}`)
		asha.Held = nil
		ben.Packet()
		sayBinary(asha, "publish", fmt.Sprintf(`{"room":"room","data":`+reference+`}`, 0), "dog")
		binary(ben, 1)
		for _, ask := range []string{"history", "join"} {
			p := r.guest("cid")
			p.Text(`427["` + ask + `",{"room":"room","history":9}]`)
			packet, got := binary(p, 3)
			if !strings.HasPrefix(packet, `463-7[{"ok":true,`) || !strings.Contains(packet, data) || !strings.Contains(packet, `"data":{"_placeholder":true,"num":2}`) ||
				fmt.Sprint(got) != "[cat  dog]" {
				t.Error(packet, got)
			}
		}
	})
}

// A signal may be binary, and a client that polls gets base64.
func TestBinaryOverPolling(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		asha := r.member("asha", "room")
		p := r.pollingMember("ben", "room")
		p.Say(fmt.Sprintf(`451-["signal",{"room":"room","data":`+reference+`}]`, 0), "bAQID")
		packet, got := binary(asha, 1)
		if !strings.HasPrefix(packet, `451-["signal",{"room":"room","from":{`) || got[0] != "\x01\x02\x03" {
			t.Error(packet, got)
		}
		sayBinary(asha, "publish", fmt.Sprintf(`{"room":"room","data":[`+reference+`]}`, 0), "\x04\x05")
		if got := p.Get(); !strings.HasPrefix(got.Body, `451-["message",`) || !strings.HasSuffix(got.Body, "\x1ebBAU=") {
			t.Errorf("%q", got.Body)
		}
	})
}

// CVE-2022-2421: a reference to no attachment costs its sender the connection, and no other client
// gets it.
func TestCVE20222421(t *testing.T) {
	for _, num := range []string{`"0"`, `-1`, `0.5`, `1e0`, `1`, `null`, `{}`, `[0]`, `true`, `"__proto__"`, `99999999999999999999`} {
		t.Run(num, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				witness, p := r.member("witness", "room"), r.member("p", "room")
				p.Text(`451-1["publish",{"room":"room","data":{"_placeholder":true,"num":` + num + `}}]`)
				if code, reason := p.Closed(); code != closeProtocol || !strings.Contains(reason, "placeholder") {
					t.Errorf("closed with %d %q", code, reason)
				}
				p.EOF()
				witness.Nothing()
				synctest.Wait()
				if n := r.srv.engine.Count(); n != 1 {
					t.Errorf("%d sessions are left", n)
				}
			})
		})
	}
}

// Data that only resembles a reference stays data, and never comes where a client would take it for
// a reference.
func TestLiteralPlaceholders(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.member("p", "room")
		const literal = `{"_placeholder":true,"num":7}`
		p.Call("publish", `{"room":"room","data":`+literal+`}`)
		if s := p.Packet(); !strings.HasPrefix(s, `42["message",`) || !strings.Contains(s, `"data":`+literal) {
			t.Error(s)
		}
		sayBinary(p, "publish", fmt.Sprintf(`{"room":"room","data":`+reference+`}`, 0), "x")
		binary(p, 1)
		p.Packet()
		p.Text(`429["history",{"room":"room"}]`)
		packet, _ := binary(p, 1)
		if !strings.HasPrefix(packet, `461-9[`) || strings.Contains(packet, literal) || !strings.HasSuffix(packet, `"more":true}]`) {
			t.Error(packet)
		}
		first := wiretest.Field(t, strings.TrimSuffix(strings.TrimPrefix(packet, "461-9["), "]"), "messages")
		offset := first[strings.LastIndex(first, `"offset":`)+len(`"offset":`) : strings.LastIndex(first, "}")]
		if ack := p.Call("history", `{"room":"room","before":`+offset+`}`); !strings.Contains(ack, literal) {
			t.Error(ack)
		}
	})
}
