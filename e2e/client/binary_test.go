package client

import (
	"bytes"
	"testing"
)

func TestBytesAreTakenOutAndPutBack(t *testing.T) {
	payload := `["publish",{"data":{"a":{"$bytes":"00ff"},"b":[{"$bytes":""},"{"]}}]`
	text, attachments, err := pack([]byte(payload))
	if want := `["publish",{"data":{"a":{"_placeholder":true,"num":0},"b":[{"_placeholder":true,"num":1},"{"]}}]`; string(text) != want || err != nil {
		t.Errorf("%s, %v", text, err)
	}
	if len(attachments) != 2 || !bytes.Equal(attachments[0], []byte{0, 255}) || len(attachments[1]) != 0 {
		t.Errorf("%x", attachments)
	}
	back, err := unpack(text, attachments)
	if string(back) != payload || err != nil {
		t.Errorf("%s, %v", back, err)
	}
	for _, few := range [][][]byte{attachments[:1], append(attachments, nil)} {
		if back, err := unpack(text, few); err == nil {
			t.Errorf("with %d attachments: %s", len(few), back)
		}
	}
}
