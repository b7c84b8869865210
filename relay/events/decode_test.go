package events

import (
	"encoding/json"
	"strings"
	"testing"
)

// request has a member of each kind that requests have.
type request struct {
	Room  string          `json:"room"`
	ID    *string         `json:"id"`
	Limit int             `json:"limit"`
	All   bool            `json:"all"`
	Data  json.RawMessage `json:"data"`
}

func pointer(s string) *string { return &s }

func (r request) String() string {
	b, _ := json.Marshal(r)
	return string(b)
}

func TestDecode(t *testing.T) {
	for in, want := range map[string]request{
		`{}`: {},
		`{"room":"a","id":"b","limit":5,"all":true}`:                      {Room: "a", ID: pointer("b"), Limit: 5, All: true},
		`{"room":null,"id":null,"limit":null,"all":null}`:                 {},
		` { "room" : "\u00e9\n\ud83d\ude00" , "id" : "" } `:               {Room: "é\n😀", ID: pointer("")},
		`{"r\u006fom":"a","\u0069d":"\u0069"}`:                            {Room: "a", ID: pointer("i")},
		`{"room":"a","Room":"b","ROOM":5,"Data":1,"ID":{},"lımıt":1}`:     {Room: "a"},
		`{"room":"a","token":[1],"":{},"\ud83d":1,"nested":{"room":"b"}}`: {Room: "a"},
		// Of a name that comes twice the last counts, whatever the others were.
		`{"room":"a","room":"b","id":"c","id":null,"all":true,"all":false}`: {Room: "b"},
		`{"room":5,"limit":"x","limit":7,"room":"b","data":[1 ,2.0]}`:       {Room: "b", Limit: 7},
		`{"id":"\ud83d","x":1,"x":{},"\u0069d":"c"}`:                        {ID: pointer("c")},
		// A number is an integer in whatever spelling.
		`{"limit":50.0}`: {Limit: 50}, `{"limit":5e1}`: {Limit: 50}, `{"limit":0.5E+2}`: {Limit: 50}, `{"limit":5000e-2}`: {Limit: 50},
		`{"limit":-1.0}`: {Limit: -1}, `{"limit":-0}`: {}, `{"limit":0e99999999999999999999}`: {}, `{"limit":0.000e-5}`: {},
		`{"limit":999999999999999999}`: {Limit: 999999999999999999}, `{"limit":-1e17}`: {Limit: -100000000000000000},
		`{"limit":1` + strings.Repeat("0", 5000) + `e-4999}`: {Limit: 10},
	} {
		want.Data = nil
		var got request
		if err := decode([]byte(in), &got); err != nil {
			t.Errorf("%.100s: %v", in, err)
		}
		got.Data = nil
		if got.String() != want.String() {
			t.Errorf("%.100s: %v, want %v", in, got, want)
		}
	}
}

func TestDecodeKeepsDataByteForByte(t *testing.T) {
	for _, data := range []string{
		`null`, `1.10`, `1e400`, `"\u00e9\/"`, `[ 1 ,	2 ]`, `{"b":1,"a":2,"b":3}`, `{"Data":1,"data":2}`, `"\ud83d"`, `"\ude00\ud83d"`,
		"\"\xff\"", `"<&>` + "\u2028" + `"`, strings.Repeat("[", 2000) + strings.Repeat("]", 2000),
	} {
		for _, in := range []string{`{"data":` + data + `}`, `{"room":5,"data":1,"data": ` + data + ` ,"room":"a"}`} {
			var got request
			if err := decode([]byte(in), &got); err != nil || string(got.Data) != data {
				t.Errorf("%.100s: %.100s, %v", in, got.Data, err)
			}
		}
	}
}

func TestDecodeSaysWhatIsWrong(t *testing.T) {
	for in, want := range map[string]string{
		`{"room":5}`:               "room must be a string, not 5",
		`{"room":{"room":"a"}}`:    "room must be a string, not an object",
		`{"id":["a"]}`:             "id must be a string, not an array",
		`{"id":false}`:             "id must be a string, not false",
		`{"all":"yes"}`:            "all must be true or false, not a string",
		`{"all":0}`:                "all must be true or false, not 0",
		`{"limit":"5"}`:            "limit must be an integer, not a string",
		`{"limit":1.5}`:            "limit must be an integer of at most 18 digits, not 1.5",
		`{"limit":15e-1}`:          "limit must be an integer of at most 18 digits, not 15e-1",
		`{"limit":1e-99999999999}`: "limit must be an integer of at most 18 digits, not 1e-99999999999",
		`{"limit":1e18}`:           "limit must be an integer of at most 18 digits, not 1e18",
		`{"limit":1.00000000000000000000000000000000000000000000000000001}`: "limit must be an integer of at most 18 digits, not 1.00000000000000000000000000000000000000…",
		`{"room":"a","room":5}`:          "room must be a string, not 5",
		`{"room":"\ud83d"}`:              "room must be valid Unicode: it holds half of a surrogate pair",
		`{"id":"a\ude00b"}`:              "id must be valid Unicode: it holds half of a surrogate pair",
		`{"id":"\ude00\ud83d"}`:          "id must be valid Unicode: it holds half of a surrogate pair",
		`{"id":"\ud83d\\ude00"}`:         "id must be valid Unicode: it holds half of a surrogate pair",
		"{\"id\":\"a\xff\"}":             "id must be valid Unicode: it holds bytes that are not UTF-8",
		"{\"id\":\"\xed\xa0\xbd\"}":      "id must be valid Unicode: it holds bytes that are not UTF-8",
		`[]`:                             "must be one JSON object",
		`"room"`:                         "must be one JSON object",
		``:                               "must be one JSON object",
		`{"room":"a"`:                    "must be one JSON object",
		`{"room":"a"} {}`:                "must be one JSON object",
		`{"data":` + nested(20000) + `}`: "must be one JSON object",
	} {
		if err := decode([]byte(in), new(request)); err == nil || err.Error() != want {
			t.Errorf("%.100s: %v, want %s", in, err, want)
		}
	}
}

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func BenchmarkDecode(b *testing.B) {
	in := []byte(`{"room":"lobby","id":"0123456789abcdef0123456789abcdef","data":{"text":"` + strings.Repeat("x", 117) + `"}}`)
	b.ReportAllocs()
	for b.Loop() {
		var v struct {
			Room string          `json:"room"`
			ID   *string         `json:"id"`
			Data json.RawMessage `json:"data"`
		}
		if err := decode(in, &v); err != nil {
			b.Fatal(err)
		}
	}
}
