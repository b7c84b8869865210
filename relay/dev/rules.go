package dev

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"setu/relay/metrics"
)

// Rules are what is answered to whom in place of an app; docs/dev.md has the form of the file. The zero value
// answers nothing.
type Rules struct {
	connect answer                             // nil: there is none
	byKind  map[metrics.Hook]map[string]answer // by the name of the event, or of the room
}

// answer is what a rule answers: the members of a hook's answer, and refuse, with placeholders in them.
type answer map[string]any

// asterisk ends a name that stands for all that begin so.
const asterisk = "*"

// ParseRules reads a file of rules. The error says what is wrong, and in which line or which rule.
func ParseRules(text []byte) (*Rules, error) {
	var file struct {
		Connect jsontext.Value            `json:"connect"`
		Event   map[string]jsontext.Value `json:"event"`
		Join    map[string]jsontext.Value `json:"join"`
		Publish map[string]jsontext.Value `json:"publish"`
	}
	if err := jsonv2.Unmarshal(text, &file, jsonv2.RejectUnknownMembers(true)); err != nil {
		return nil, explain(text, err)
	}
	out := &Rules{byKind: map[metrics.Hook]map[string]answer{}}
	var wrong []error
	var err error
	if file.Connect != nil {
		if out.connect, err = parseAnswer(metrics.HookConnect, file.Connect); err != nil {
			wrong = append(wrong, fmt.Errorf("connect: %w", err))
		}
	}
	for kind, rules := range map[metrics.Hook]map[string]jsontext.Value{metrics.HookEvent: file.Event, metrics.HookJoin: file.Join, metrics.HookPublish: file.Publish} {
		out.byKind[kind] = map[string]answer{}
		for name, value := range rules {
			if out.byKind[kind][name], err = parseAnswer(kind, value); err != nil {
				wrong = append(wrong, fmt.Errorf("%s, %q: %w", kind, name, err))
			}
		}
	}
	slices.SortFunc(wrong, func(x, y error) int { return strings.Compare(x.Error(), y.Error()) })
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return out, nil
}

// explain returns what is wrong with a file that is no rules, and in which line.
func explain(text []byte, err error) error {
	var form *jsontext.SyntacticError
	var kind *jsonv2.SemanticError
	at := int64(-1)
	why := err
	switch {
	case errors.As(err, &form):
		at, why = form.ByteOffset, form.Err
	case errors.As(err, &kind):
		at = kind.ByteOffset
		why = fmt.Errorf("%s is no object of rules", cmpText(string(kind.JSONPointer), "the file"))
		if errors.Is(err, jsonv2.ErrUnknownName) {
			why = fmt.Errorf("%s is unknown: it is connect, event, join or publish", kind.JSONPointer)
		}
	}
	if at < 0 || at > int64(len(text)) {
		return why
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(text[:at], []byte{'\n'}), why)
}

func cmpText(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// ofAny are the members that an answer to any hook may have, and ofKind what only one has.
var (
	ofAny  = []string{"data", "rights", "leave", "join", "emit", "disconnect", "refuse"}
	ofKind = map[metrics.Hook][]string{metrics.HookConnect: {"user", "rooms"}, metrics.HookEvent: {"ack"}, metrics.HookPublish: {"message"}}
)

func parseAnswer(kind metrics.Hook, text []byte) (answer, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // written back as it came
	var a answer
	if err := d.Decode(&a); err != nil || a == nil {
		return nil, errors.New("what a rule answers is an object")
	}
	for name := range a {
		if !slices.Contains(ofAny, name) && !slices.Contains(ofKind[kind], name) {
			return nil, fmt.Errorf("there is no %q in an answer to %s: it has %s", name, kind, strings.Join(append(slices.Clone(ofKind[kind]), ofAny...), ", "))
		}
	}
	return a, a.checkRefusal()
}

// maxCode bounds a refusal's code, in bytes, as hooks do.
const maxCode = 64

func (a answer) checkRefusal() error {
	is, ok := a["refuse"]
	if !ok {
		return nil
	}
	no, _ := is.(map[string]any)
	code, _ := no["code"].(string)
	_, isText := no["message"].(string)
	switch {
	case code == "" || len(code) > maxCode:
		return fmt.Errorf(`refuse is {"code": …, "message": …}, with a code of 1 to %d bytes`, maxCode)
	case len(no) > 2 || len(no) == 2 && !isText:
		return errors.New("refuse has a code and perhaps a message, which is a string, and nothing else")
	case len(a) > 1:
		return errors.New("what refuses does nothing else")
	}
	return nil
}

// find returns the rule for a request: that of its name or, of those that end in *, the longest that fits.
func (r *Rules) find(kind metrics.Hook, name string) (a answer, rule string) {
	if r == nil {
		return nil, ""
	}
	if kind == metrics.HookConnect {
		return r.connect, "connect"
	}
	rules := r.byKind[kind]
	if a, ok := rules[name]; ok {
		return a, name
	}
	for pattern, of := range rules {
		prefix, wild := strings.CutSuffix(pattern, asterisk)
		if wild && strings.HasPrefix(name, prefix) && len(pattern) > len(rule) {
			a, rule = of, pattern
		}
	}
	return a, rule
}
