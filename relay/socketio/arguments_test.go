package socketio

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestArguments(t *testing.T) {
	for in, want := range map[string][]string{
		`["a"]`:                                {"a"},
		`["a",1]`:                              {"a", "1"},
		` [ "a" , {"b":[1,2]} , "x,]" ] `:      {"a", `{"b":[1,2]}`, `"x,]"`},
		`["a",{"z":1.10,"a":1e400},null,true]`: {"a", `{"z":1.10,"a":1e400}`, "null", "true"},
		`["a\"b","\\"]`:                        {`a"b`, `"\\"`},
		`["\u00e9"]`:                           {"é"},
		`[-1.5,"a"]`:                           {"-1.5", `"a"`},
		`["",[],{}]`:                           {"", "[]", "{}"},
	} {
		name, args, err := Arguments([]byte(in))
		got := []string{name}
		for _, a := range args {
			got = append(got, string(a))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestArgumentsRefuses(t *testing.T) {
	for in, want := range map[string]error{
		``:         ErrPayload,
		`{}`:       ErrPayload,
		`[]`:       ErrPayload,
		`[`:        ErrJSON,
		`["`:       ErrJSON,
		`["a`:      ErrJSON,
		`["a",`:    ErrJSON,
		`["a",]`:   ErrJSON,
		`["a"] 1`:  ErrJSON,
		`[,]`:      ErrJSON,
		`["a"1]`:   ErrJSON,
		`["a",[1]`: ErrJSON,
		`[true]`:   ErrName,
		`[{}]`:     ErrName,
		`["a"` + strings.Repeat(",1", MaxItems) + `]`: ErrItems,
	} {
		if _, _, err := Arguments([]byte(in)); !errors.Is(err, want) {
			t.Errorf("%.40s: %v, want %v", in, err, want)
		}
	}
}

func TestArgumentsAliases(t *testing.T) {
	data := []byte(`["a",{"b":1},2]`)
	_, args, err := Arguments(data)
	if err != nil || &args[0][0] != &data[5] {
		t.Fatalf("the first argument is a copy (%v)", err)
	}
	if _ = append(args[0], 'x'); string(data) != `["a",{"b":1},2]` {
		t.Errorf("growing an argument wrote into its neighbour: %s", data)
	}
}

func FuzzArguments(f *testing.F) {
	for _, v := range vectors(f, "events.txt") {
		if p, err := Parse(v.bytes); err == nil {
			f.Add(p.Data)
		}
	}
	for _, s := range []string{`["a",`, `["\`, `[[[]`, `[1 2]`, `["a","\\\""]`, `[]`, ` [ 1 , 2 ] `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		name, args, err := Arguments(data)
		var want []json.RawMessage
		if json.Unmarshal(data, &want) != nil {
			return // only that nothing panics
		}
		if err != nil {
			if len(want) > 0 && len(want) <= MaxItems && nameable(want[0]) {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		same := func(a, b json.RawMessage) bool { return string(a) == string(b) }
		if !slices.EqualFunc(args, want[1:], same) {
			t.Fatalf("%q split into %q and %q, want %q", data, name, args, want)
		}
	})
}

func nameable(item json.RawMessage) bool {
	return strings.IndexByte(`"-0123456789`, item[0]) >= 0
}

func BenchmarkArguments(b *testing.B) {
	data := []byte(`["publish",{"room":"lobby","id":"m1","data":{"text":"hello there, how are you?"}}]`)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Arguments(data); err != nil {
			b.Fatal(err)
		}
	}
}
