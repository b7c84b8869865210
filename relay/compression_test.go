package relay

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"setu/relay/client"
	"setu/relay/wiretest"
)

// In one room are clients that take compressed messages, in full and compact, and such that do not, over
// either transport: all are told the same, in the same order.
func TestCompressedRoom(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		var heard []string
		c, _ := dialClient(t, r, client.Options{Native: client.Native{Compress: true}, Handler: client.Handler{
			Message: func(m client.Message) { heard = append(heard, string(m.Data)) },
			Error:   func(err error) { t.Error(err) },
		}})
		defer c.Close()
		if _, err := c.Join(t.Context(), "room", client.JoinOptions{}); err != nil {
			t.Fatal(err)
		}
		plain, polling := r.member("plain", "room"), r.pollingMember("polling", "room")
		browser := wiretest.UpgradeOffering(t, r.Dial(), "", wiretest.DeflateOffer)
		browser.Connect(`{"name":"browser"}`)
		browser.Call("join", `{"room":"room"}`)
		var want []string
		for _, words := range []int{0, 10, 1000, 3, 20_000, 1} {
			text := ""
			for n := range words {
				text += strconv.Itoa(n) + " words "
			}
			want = append(want, text)
			if _, err := c.Publish(t.Context(), "room", text, ""); err != nil {
				t.Fatal(err)
			}
			said := plain.Packet()
			if got := polling.Packet(); got != said {
				t.Errorf("by polling %.100s, not %.100s", got, said)
			}
			f := browser.NextFrame()
			if string(f.Payload) != said || (f.Compressed > 0) != (len(said) >= 300) || 4*f.Compressed > 3*len(said) {
				t.Errorf("%.100s, not %.100s: %d bytes came as %d", f.Payload, said, len(said), f.Compressed)
			}
		}
		synctest.Wait()
		for i := range want {
			want[i] = `"` + want[i] + `"`
		}
		if strings.Join(heard, " ") != strings.Join(want, " ") {
			t.Errorf("heard %.300q, want %.300q", heard, want)
		}
	}, "COMPRESSION=300")
}
