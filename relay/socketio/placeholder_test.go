package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		`1`:                                      `1`,
		`{"a":[1.10,"\u00e9",1e400]}`:            `{"a":[1.10,"\u00e9",1e400]}`,
		`{"_placeholder":true,"num":1}`:          `{"_placeholder":true,"num":1}`,
		` { "num" : 1, "_placeholder" : true } `: ` {"_placeholder":true,"num":1} `,
		`[{"_placeholder":true,"num":0,"x":1}, {"z":1.10}]`:                               `[{"_placeholder":true,"num":0}, {"z":1.10}]`,
		`{"_placeholder":true,"x":{"_placeholder":true,"num":0},"num":1}`:                 `{"_placeholder":true,"num":1}`,
		`[{"_placeholder":false,"_placeholder":true,"num":9,"num":2}]`:                    `[{"_placeholder":true,"num":2}]`,
		`{"a":{"\u005fplaceholder":true,"num":2},"b":{"num":0,"\u005Fplaceholder":true}}`: `{"a":{"_placeholder":true,"num":2},"b":{"_placeholder":true,"num":0}}`,
		`{"_placeholder":true,"num":7,"_placeholder":false}`:                              `{"_placeholder":true,"num":7,"_placeholder":false}`,
		`"{\"_placeholder\":true,\"num\":7}"`:                                             `"{\"_placeholder\":true,\"num\":7}"`,
		`{"x":{"_placeholder":true,"num":0},"_placeholder":1}`:                            `{"x":{"_placeholder":true,"num":0},"_placeholder":1}`,
	} {
		got, err := Canonical([]byte(in), 3)
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
	for _, in := range []string{`{"_placeholder":true}`, `{"_placeholder":true,"num":3}`, `[{"num":1e0,"_placeholder":true}]`} {
		if _, err := Canonical([]byte(in), 3); !errors.Is(err, ErrPlaceholder) {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestResolve(t *testing.T) {
	write := func(dst []byte, n int) []byte { return append(append(dst, '#'), byte('0'+n)) }
	for in, want := range map[string]string{
		`[1.10]`: `[1.10]`,
		`[{"num":1,"_placeholder":true}, {"a" : {"_placeholder":true,"num":0,"x":{}}}]`: `[#1, {"a" : #0}]`,
		`"{\"_placeholder\":true,\"num\":7}"`:                                           `"{\"_placeholder\":true,\"num\":7}"`,
	} {
		if got, err := Resolve([]byte(in), 2, write); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
	if _, err := Resolve([]byte(`{"_placeholder":true,"num":2}`), 2, write); !errors.Is(err, ErrPlaceholder) {
		t.Error(err)
	}
}

func TestRenumber(t *testing.T) {
	for in, want := range map[string]string{
		`1`:                             `1`,
		`{"_placeholder":true,"num":0}`: `{"_placeholder":true,"num":4}`,
		`[{"_placeholder":true,"num":1},{"a":{"_placeholder":true,"num":0}}]`:              `[{"_placeholder":true,"num":5},{"a":{"_placeholder":true,"num":4}}]`,
		`"{\"_placeholder\":true,\"num\":0}"`:                                              `"{\"_placeholder\":true,\"num\":0}"`,
		`["{","_placeholder",true,"num",0]`:                                                `["{","_placeholder",true,"num",0]`,
		`{"_placeholder":true,"num":7,"_placeholder":false}`:                               `{"_placeholder":true,"num":7,"_placeholder":false}`,
		`[{"_placeholder":true,"num":"0","_placeholder":0},{"_placeholder":true,"num":6}]`: `[{"_placeholder":true,"num":"0","_placeholder":0},{"_placeholder":true,"num":10}]`,
	} {
		if got := Renumber([]byte("kept "), []byte(in), 4); string(got) != "kept "+want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

func TestMayHold(t *testing.T) {
	for in, want := range map[string]bool{
		`{"placeholder":true}`:        false,
		`"caf\u00e9 \ud83d\ude00"`:    false,
		`"\u004f\u0040\u0080\u00"`:    false,
		`{"_placeholder":1}`:          true,
		`{"\u005fplaceholder":1}`:     true,
		`{"_placeholde\u0072":1}`:     true,
		`"\u00e9 {\"\u006fther\":1}"`: true, // errs: it holds none
	} {
		if got := MayHold([]byte(in)); got != want {
			t.Errorf("%s: %v", in, got)
		}
	}
	for i := range placeholderKey { // whichever letter is escaped, in either case of the digits
		for _, format := range []string{"%04x", "%04X"} {
			text := `{"` + placeholderKey[:i] + `\u` + fmt.Sprintf(format, placeholderKey[i]) + placeholderKey[i+1:] + `":true}`
			var back map[string]bool
			if err := json.Unmarshal([]byte(text), &back); err != nil || !back[placeholderKey] || !MayHold([]byte(text)) {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

func TestCanonicalCopiesNothingInVain(t *testing.T) {
	for _, in := range []string{`{"text":"hello"}`, `[{"_placeholder":true,"num":0},"\u005f"]`} {
		data := []byte(in)
		if got, err := Canonical(data, 1); err != nil || &got[0] != &data[0] {
			t.Errorf("%s is copied (%v)", in, err)
		}
	}
}

// reference stands for an attachment in what resolve returns.
type reference struct{ n json.Number }

// resolve does what a client does with a packet. It reports false if a client would find no
// attachment.
func resolve(v any, attachments int) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		if v[placeholderKey] == true {
			n, ok := v[numberKey].(json.Number)
			i, err := n.Int64()
			return reference{n}, ok && err == nil && 0 <= i && i < int64(attachments) && n != "-0"
		}
		for k, item := range v {
			var ok bool
			if v[k], ok = resolve(item, attachments); !ok {
				return nil, false
			}
		}
	case []any:
		for i, item := range v {
			var ok bool
			if v[i], ok = resolve(item, attachments); !ok {
				return nil, false
			}
		}
	}
	return v, true
}

func decode(t *testing.T, data []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	return v
}

func placeholderSeeds(f *testing.F) {
	for _, v := range vectors(f, "packets.txt") {
		if p, err := Parse(v.bytes); err == nil && len(v.bytes) < 500 {
			f.Add(p.Data, p.Attachments)
		}
	}
	for _, s := range []string{`}`, `{"_placeholder":true`, `{"_placeholder":`, `"_placeholder":true}`, `{"_placeholder":true,"num":`,
		`{"_placeholder":true,"num":0,"num":{"_placeholder":true,"num":0}}`, `{"a":{"_placeholder":true,"num":0 }}`} {
		f.Add([]byte(s), 2)
	}
}

func FuzzCanonical(f *testing.F) {
	placeholderSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte, attachments int) {
		if attachments < 0 || attachments > MaxAttachments {
			return
		}
		got, err := Canonical(data, attachments)
		Renumber(nil, data, attachments)
		if !json.Valid(data) {
			return // only that nothing panics
		}
		if !MayHold(data) && bytes.Contains(got, []byte(placeholderKey)) {
			t.Fatalf("%q may hold one", data)
		}
		before, whole := resolve(decode(t, data), attachments)
		if err != nil {
			// Canonical also reads what is inside placeholders and members that come twice, which
			// no client sees.
			if whole && strings.Count(string(data), "{") == 1 {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		if !whole {
			t.Fatalf("%q was taken", data)
		}
		if after, _ := resolve(decode(t, got), attachments); !reflect.DeepEqual(before, after) {
			t.Fatalf("%q became %q", data, got)
		}
		if again, err := Canonical(got, attachments); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("%q became %q: %v", got, again, err)
		}
		if same := Renumber(nil, got, 0); !bytes.Equal(same, got) {
			t.Fatalf("%q became %q", got, same)
		}
		checkRenumbered(t, got, attachments)
	})
}

// checkRenumbered holds Renumber against the same done to the decoded value.
func checkRenumbered(t *testing.T, data []byte, attachments int) {
	const by = 5
	raised := Renumber(nil, data, by)
	if again, err := Canonical(raised, attachments+by); err != nil || !bytes.Equal(again, raised) {
		t.Fatalf("%q became %q, which is not canonical: %v", data, raised, err)
	}
	if found, _ := placeholders(raised, attachments+by); len(found) > 0 {
		for _, p := range found {
			if p.num < by {
				t.Fatalf("%q became %q", data, raised)
			}
		}
	}
	if back := Renumber(nil, raised, -by); !bytes.Equal(back, data) {
		t.Fatalf("%q became %q, and that %q", data, raised, back)
	}
}

func BenchmarkCanonical(b *testing.B) {
	for name, data := range map[string]string{
		"plain 4KB": `{"text":"` + strings.Repeat("a", 4000) + `"}`,
		"one":       `{"file":{"_placeholder":true,"num":0},"name":"photo.png"}`,
	} {
		in := []byte(data)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Canonical(in, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
