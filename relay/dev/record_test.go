package dev

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// The journal keeps the newest, in order, and cuts what is long.
func TestJournal(t *testing.T) {
	var out strings.Builder
	j := &journal{out: &out}
	for i := range maxRecords + 10 {
		j.add(Record{asked: asked{Type: "event", Event: fmt.Sprint(i), Args: []byte(`["` + strings.Repeat("é", 5000) + `"]`)}, By: byApp, Status: 200})
	}
	some, last := j.since(0)
	if len(some) != maxRecords || last != maxRecords+10 || some[0].N != 11 || some[0].Name != "10" || some[maxRecords-1].N != last {
		t.Error(len(some), last, some[0].N)
	}
	if d := some[0].Detail; len(d) > maxText+len("…") || !utf8.ValidString(d) || !strings.HasSuffix(d, "…") {
		t.Error(len(d))
	}
	if some, _ := j.since(last - 2); len(some) != 2 {
		t.Error(len(some))
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 3*maxLine {
			t.Fatal(line)
		}
	}
}

// A line is one line, and moves nobody's cursor.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{"a\nb": `a\nb`, "\x1b[2J": `\x1b[2J`, "é → ß": "é → ß", "\u202e\u009b": `\u202e\u009b`, "\xff": "�"} {
		if got := printable(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
	r := Record{Type: "event", Name: "a\r\nb", Detail: "[\"\u2028\"]", User: "x\x00y", By: byRule, Rule: "\n", Status: 200, Answer: "\n"}
	if line := r.line(); strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\r\n\x00\u2028") {
		t.Errorf("%q", line)
	}
}

// JSON is shown as one would write it, and secrets are not.
func TestDescribe(t *testing.T) {
	r := Record{asked: asked{Type: "connect", Auth: []byte(`{"token":"a","key":"b","pid":"c","name":"\u003cb\u003e\\u003c","n":1.10}`)}, answer: []byte(" {\n\"a\":  1.10}\n")}
	r.describe()
	if r.Detail != `{"key":"(not shown)","n":1.10,"name":"<b>\\u003c","pid":"(not shown)","token":"(not shown)"}` || r.Answer != `{"a":1.10}` {
		t.Errorf("%s %s", r.Detail, r.Answer)
	}
	r = Record{answer: []byte("<html>\n")}
	if r.describe(); r.Answer != "<html>\n" {
		t.Errorf("%q", r.Answer)
	}
}
