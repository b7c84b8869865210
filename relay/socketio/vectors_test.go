package socketio

import (
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

// vectors reads testdata: name, bytes and meaning, separated by tabs.
func vectors(tb testing.TB, file string) []vector {
	tb.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		tb.Fatal(err)
	}
	var out []vector
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		field := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(field) != 3 {
			tb.Fatalf("%s: %d fields, not 3: %q", file, len(field), line)
		}
		b, err := pieces(field[1])
		if err != nil {
			tb.Fatalf("%s: %q: %v", file, field[0], err)
		}
		out = append(out, vector{field[0], []byte(b), field[2]})
	}
	return out
}

// pieces reads strings quoted as in Go, one after the other, each perhaps with *N for N of it.
func pieces(s string) (string, error) {
	var out strings.Builder
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", err
		}
		piece, err := strconv.Unquote(quoted)
		if err != nil {
			return "", err
		}
		s = s[len(quoted):]
		n := 1
		if strings.HasPrefix(s, "*") {
			number, rest, _ := strings.Cut(s[1:], " ")
			if n, err = strconv.Atoi(number); err != nil {
				return "", err
			}
			s = rest
		}
		out.WriteString(strings.Repeat(piece, n))
	}
	return out.String(), nil
}

// meaning returns a vector's meaning with its payload spelled out.
func meaning(s string) string {
	field := strings.SplitN(s, " ", 5)
	if len(field) < 5 || field[0] == "error:" {
		return s
	}
	if text, err := pieces(field[4]); err == nil {
		field[4] = text
	}
	return strings.Join(field, " ")
}

// describe returns what Parse returned, in the words of the vectors.
func describe(p Packet, err error) string {
	if err != nil {
		return "error: " + strings.TrimPrefix(err.Error(), "socketio: ")
	}
	id := "-"
	if p.HasID {
		id = strconv.FormatUint(p.ID, 10)
	}
	return fmt.Sprintf("%v %s %s %d %s", p.Type, p.Namespace, id, p.Attachments, p.Data)
}
