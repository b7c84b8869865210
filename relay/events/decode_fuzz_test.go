package events

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// Nothing panics, and what an object says is what a plain reading of its members says, of each name
// the last.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"room":"a","id":"b","limit":5,"all":true,"data":[1 ,2]}`, `{"room":"\ud83d\ude00","Room":1,"limit":5e1}`, `{"id":"\ud83d"}`,
		`{"room":5,"room":"b"}`, `{"limit":-1.50e1,"limit":1.5}`, `{"limit":1e400}`, `{"r\u006fom":"\\ud83d"}`, `{"data":{"a":1,"a":2}}`,
		`{"id":null,"all":null}`, "{\"room\":\"\xff\"}", `[]`, `{"room":`, `{"\ud83d":1,"\ufffd":2}`, `{"limit":0e99999999999}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var got request
		err := decode(in, &got)
		var members map[string]json.RawMessage
		if json.Unmarshal(in, &members) != nil || members == nil {
			if err == nil {
				t.Fatalf("%q is no object, and was read as %v", in, got)
			}
			return
		}
		want, ok := plainly(members)
		if ok != (err == nil) {
			t.Fatalf("%q: %v, want %v", in, err, want)
		}
		if err != nil && len(err.Error()) > 200 {
			t.Fatalf("%q: a message of %d bytes", in, len(err.Error()))
		}
		if ok && (got.String() != want.String() || string(got.Data) != string(want.Data)) {
			t.Fatalf("%q: %v, want %v", in, got, want)
		}
	})
}

// plainly reads the members of a request one by one.
func plainly(members map[string]json.RawMessage) (r request, ok bool) {
	ok = true
	if s := plainText(members["room"], &ok); s != nil {
		r.Room = *s
	}
	r.ID = plainText(members["id"], &ok)
	r.Data = members["data"]
	switch m := string(members["all"]); m {
	case "true":
		r.All = true
	case "false", "null", "":
	default:
		ok = false
	}
	if m := string(members["limit"]); m != "" && m != "null" {
		var fits bool
		r.Limit, fits = plainInteger(m)
		ok = ok && fits
	}
	return r, ok
}

func plainText(m json.RawMessage, ok *bool) (s *string) {
	if len(m) > 0 && (json.Unmarshal(m, &s) != nil || s != nil && !unicodeText(string(m))) {
		*ok = false
		return nil
	}
	return s
}

// unicodeText reports whether a JSON string is UTF-8 without half of a surrogate pair.
func unicodeText(quoted string) bool {
	var last rune // a first half
	for rest := quoted; rest != ""; {
		r, size := rune(-1), 1
		if rest[0] == '\\' {
			size = 2
			if rest[1] == 'u' {
				n, _ := strconv.ParseUint(rest[2:6], 16, 16)
				r, size = rune(n), 6
			}
		}
		rest = rest[size:]
		switch {
		case last != 0 && utf16.DecodeRune(last, r) == utf8.RuneError:
			return false
		case last != 0:
			last = 0
		case utf16.IsSurrogate(r) && r >= 0xdc00:
			return false
		case utf16.IsSurrogate(r):
			last = r
		}
	}
	return utf8.ValidString(quoted)
}

func plainInteger(m string) (int, bool) {
	if i := strings.IndexAny(m, "eE"); i >= 0 && strings.Trim(m[:i], "-0.") == "" {
		return 0, true
	} else if i >= 0 {
		if e, err := strconv.Atoi(m[i+1:]); err != nil || e > 5000 || e < -5000 {
			return 0, false
		}
	}
	r, ok := new(big.Rat).SetString(m)
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(maxDigits), nil)
	if !ok || !r.IsInt() || r.Num().CmpAbs(limit) >= 0 {
		return 0, false
	}
	return int(r.Num().Int64()), true
}
