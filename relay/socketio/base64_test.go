package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"
)

func TestFromBase64(t *testing.T) {
	const none, one, two = `{"_placeholder":true,"num":3}`, `{"_placeholder":true,"num":4}`, `{"_placeholder":true,"num":5}`
	for in, want := range map[string]struct {
		out   string
		bytes []string
	}{
		`{"a":1.10}`:         {},
		`{"$binary":"AAE="}`: {none, []string{"\x00\x01"}},
		` [ {"\u0024binary" : "\/\/8=" } ,{"$binary":""}]`:                           {` [ ` + none + ` ,` + one + `]`, []string{"\xff\xff", ""}},
		`{"a":{"$binary":"YQ=="},"b":[{"c":{"$binary":"Yg=="}},{"$binary":"Yw=="}]}`: {`{"a":` + none + `,"b":[{"c":` + one + `},` + two + `]}`, []string{"a", "b", "c"}},
		`{"$binary":"YQ==","x":1}`:                                                   {}, `{"x":1,"$binary":"YQ=="}`: {}, `{"$binary":1}`: {}, `"{\"$binary\":\"YQ==\"}"`: {}, `{"$binary":{"$binary":"YQ=="}}`: {`{"$binary":` + none + `}`, []string{"a"}},
		`{"$Binary":"YQ=="}`: {}, `{}`: {}, `"$binary"`: {}, `[]`: {},
	} {
		if want.out == "" {
			want.out = in
		}
		out, attachments, err := FromBase64([]byte(in), 3)
		got := make([]string, len(attachments))
		for i, a := range attachments {
			got[i] = string(a)
		}
		if string(out) != want.out || !slices.Equal(got, want.bytes) || err != nil {
			t.Errorf("%s: %s, %q, %v", in, out, got, err)
		}
	}
	for _, in := range []string{`{"$binary":"A"}`, `{"$binary":"AAE"}`, `{"$binary":"_-8="}`, `{"$binary":"AAF="}`} {
		if _, _, err := FromBase64([]byte(in), 0); !errors.Is(err, ErrBase64) {
			t.Errorf("%s: %v", in, err)
		}
	}
}

// What is taken out of any JSON can be put back, and means the same then.
func FuzzBase64(f *testing.F) {
	for _, s := range []string{`{"a":{"$binary":"YQ=="}}`, `[{"$binary":"\/w=="},{"$binary":"","x":1}]`, `{"\u0024binary":""}`, `{"$binary":`, `"\`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, attachments, err := FromBase64(in, 0)
		if err != nil || !json.Valid(in) || MayHold(in) {
			return // nothing panics
		}
		if !json.Valid(out) {
			t.Fatalf("%q became %q", in, out)
		}
		var was, is any
		back, err := ToBase64(out, attachments)
		if err != nil {
			t.Fatal(err)
		}
		if json.Unmarshal(in, &was) != nil || json.Unmarshal(back, &is) != nil {
			return // numbers that nobody can hold
		}
		one, _ := json.Marshal(was)
		other, _ := json.Marshal(is)
		if !bytes.Equal(one, other) {
			t.Fatalf("%s became %s", one, other)
		}
	})
}
