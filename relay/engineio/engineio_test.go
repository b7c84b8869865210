package engineio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

type vector struct {
	name    string
	bytes   []byte
	meaning string
}

// vectors reads testdata: name, bytes and meaning, separated by tabs, the bytes quoted as in Go.
func vectors(tb testing.TB, file string) []vector {
	tb.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		tb.Fatal(err)
	}
	var out []vector
	for line := range strings.Lines(string(text)) {
		field := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if len(field) != 3 {
			tb.Fatalf("%s: %d fields, not 3: %q", file, len(field), line)
		}
		b, err := strconv.Unquote(field[1])
		if err != nil {
			tb.Fatalf("%s: %q: %v", file, field[0], err)
		}
		out = append(out, vector{field[0], []byte(b), field[2]})
	}
	return out
}

// describe writes the result of Parse as the vectors do, with the data always as %q.
func describe(p Packet, err error) string {
	if err != nil {
		return "error: " + strings.TrimPrefix(err.Error(), "engineio: ")
	}
	return fmt.Sprintf("%v %q", p.Type, p.Data)
}

// meaning rewrites a vector's meaning so that its data is quoted as describe quotes it.
func meaning(tb testing.TB, s string) string {
	word, data, _ := strings.Cut(s, " ")
	if word == "error:" {
		return s
	}
	plain, err := strconv.Unquote(data)
	if err != nil {
		tb.Fatalf("%q: %v", s, err)
	}
	return fmt.Sprintf("%s %q", word, plain)
}

func TestParse(t *testing.T) {
	for _, file := range []string{"text.txt", "binary.txt"} {
		binary := file == "binary.txt"
		for _, v := range vectors(t, file) {
			t.Run(file+"/"+v.name, func(t *testing.T) {
				p, err := Parse(v.bytes, binary)
				if got, want := describe(p, err), meaning(t, v.meaning); got != want {
					t.Fatalf("%q means %s, want %s", v.bytes, got, want)
				}
				if err != nil {
					return
				}
				if p.Binary != binary {
					t.Errorf("Binary = %v", p.Binary)
				}
				if again := p.Append(nil); !bytes.Equal(again, v.bytes) {
					t.Errorf("written back as %q", again)
				}
			})
		}
	}
}

func TestHandshake(t *testing.T) {
	for _, v := range vectors(t, "handshakes.txt") {
		t.Run(v.name, func(t *testing.T) {
			h, err := ParseHandshake(v.bytes)
			got := fmt.Sprintf("sid=%s upgrades=%v ping=%d+%d max=%d", h.SID, h.Upgrades, h.PingInterval, h.PingTimeout, h.MaxPayload)
			if err != nil {
				got = "error"
			}
			if got != v.meaning {
				t.Fatalf("%s, want %s (%v)", got, v.meaning, err)
			}
			if err != nil {
				return
			}
			body := h.Append(nil)
			again, err := ParseHandshake(body)
			if err != nil || fmt.Sprint(again) != fmt.Sprint(h) {
				t.Errorf("%s read back as %v, %v", body, again, err)
			}
		})
	}
}

func TestHandshakeUpgradesIsNeverNull(t *testing.T) {
	const want = `{"sid":"a","upgrades":[],"pingInterval":1,"pingTimeout":2,"maxPayload":3}`
	if got := (Handshake{SID: "a", PingInterval: 1, PingTimeout: 2, MaxPayload: 3}).Append(nil); string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestErrorBody(t *testing.T) {
	const want = `{"code":1,"message":"Session ID unknown"}`
	if got, err := json.Marshal(ErrSessionUnknown); err != nil || string(got) != want {
		t.Errorf("%s %v, want %s", got, err, want)
	}
	var e *Error
	if !errors.As(fmt.Errorf("refused: %w", ErrForbidden), &e) || e.Code != 4 {
		t.Errorf("an Error is not found in what wraps it")
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range vectors(f, "text.txt") {
		f.Add(v.bytes, false)
	}
	for _, v := range vectors(f, "binary.txt") {
		f.Add(v.bytes, true)
	}
	f.Fuzz(func(t *testing.T, frame []byte, binary bool) {
		p, err := Parse(frame, binary)
		if err != nil {
			return
		}
		if again := p.Append(nil); !bytes.Equal(again, frame) {
			t.Fatalf("%q written back as %q", frame, again)
		}
		if h, err := ParseHandshake(p.Data); err == nil && (h.SID == "" || h.PingInterval <= 0) {
			t.Fatalf("took the handshake %q", p.Data)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	frame := []byte(`42["publish",{"room":"lobby","id":"m1","data":{"text":"hello there"}}]`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(frame, false); err != nil {
			b.Fatal(err)
		}
	}
}
