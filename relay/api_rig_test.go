package relay

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"setu/relay/wiretest"
)

// Keys of the tests.
const (
	everyKey   = "every-key-0123456789abcdefghijklmno"
	publishKey = "publish-key-0123456789abcdefghijklm"
	readKey    = "read-key-0123456789abcdefghijklmnop"
	apiKeys    = "API_KEYS=app:" + everyKey + ":publish+read+manage, sender:" + publishKey + ":publish,reader:" + readKey + ":read"
)

// asker asks the server API, and holds every answer against its description.
type asker struct {
	*rig
	t   *testing.T
	web *http.Client
	doc document
	key string // secret

	asked map[string]bool // operation ids
}

func (r *rig) api(t *testing.T) *asker {
	t.Helper()
	a := &asker{rig: r, t: t, web: r.Client(t), key: everyKey, asked: map[string]bool{}}
	res, err := a.web.Get("http://relay/api/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&a.doc); err != nil || res.StatusCode != 200 || len(a.doc.Paths) < 10 {
		t.Fatal(res.Status, err, a.doc)
	}
	return a
}

// as returns an asker with another key.
func (a *asker) as(key string) *asker {
	other := *a
	other.key = key
	return &other
}

// said is an answer.
type said struct {
	status int
	header http.Header
	body   string
}

func (s said) code(t *testing.T) string { return strings.Trim(wiretest.Field(t, s.body, "code"), `"`) }

// ask makes a request, with pairs of a header's name and value.
func (a *asker) ask(method, path, body string, header ...string) said {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, "http://relay/api/v1/"+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := a.web.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	s := said{res.StatusCode, res.Header, string(text)}
	if res.Header.Get("Setu-Relay") != "relay-1" || res.Header.Get("Cache-Control") != "no-store" {
		a.t.Errorf("%s %s: %v", method, path, res.Header)
	}
	a.check(method, path, s)
	return s
}

// want asks, and checks the status.
func (a *asker) want(status int, method, path, body string, header ...string) said {
	a.t.Helper()
	s := a.ask(method, path, body, header...)
	if s.status != status {
		a.t.Errorf("%s %s %.200s: %d %s", method, path, body, s.status, s.body)
	}
	return s
}

// document is as much of OpenAPI as is looked at.
type document struct {
	OpenAPI    string
	Paths      map[string]map[string]*documented
	Components struct{ Schemas map[string]*schema }
}

type documented struct {
	OperationID string
	Security    []map[string][]string
	Responses   map[string]struct {
		Content map[string]struct{ Schema *schema }
	}
}

type schema struct {
	Ref                  string `json:"$ref"`
	Type                 any
	Properties           map[string]*schema
	Required             []string
	AdditionalProperties any
	Items                *schema
	OneOf                []*schema
	Enum                 []any
}

// check holds an answer against the description.
func (a *asker) check(method, path string, s said) {
	a.t.Helper()
	path, _, _ = strings.Cut(path, "?")
	op := a.find(method, "/api/v1/"+path)
	if op == nil {
		if s.status < 400 && path != "" {
			a.t.Errorf("%s %s is not described, and answered with %d", method, path, s.status)
		}
		return
	}
	a.asked[op.OperationID] = true
	is, ok := op.Responses[fmt.Sprint(s.status)]
	if !ok && s.status < 400 {
		a.t.Errorf("%s: %d is not described", op.OperationID, s.status)
		return
	}
	if !ok {
		is = op.Responses["default"]
	}
	kind := s.header.Get("Content-Type")
	if len(is.Content) == 0 {
		if s.body != "" {
			a.t.Errorf("%s: %d has a body: %s", op.OperationID, s.status, s.body)
		}
		return
	}
	media, ok := is.Content[kind]
	var v any
	if err := json.Unmarshal([]byte(s.body), &v); err != nil || !ok {
		a.t.Errorf("%s: %d is %q, %v: %s", op.OperationID, s.status, kind, err, s.body)
		return
	}
	for _, wrong := range a.doc.against(media.Schema, v, "body") {
		a.t.Errorf("%s: %d: %s: %s", op.OperationID, s.status, wrong, s.body)
	}
}

// find returns the operation of a path.
func (a *asker) find(method, path string) *documented {
	parts := strings.Split(path, "/")
	for template, all := range a.doc.Paths {
		is := strings.Split(template, "/")
		if len(is) == len(parts) && !slices.ContainsFunc(slices.Collect(indices(is)), func(i int) bool { return is[i] != parts[i] && !strings.HasPrefix(is[i], "{") }) {
			return all[strings.ToLower(method)]
		}
	}
	return nil
}

func indices(s []string) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range s {
			if !yield(i) {
				return
			}
		}
	}
}

// against returns what is wrong with a value.
func (d document) against(s *schema, v any, at string) (wrong []string) {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		s = d.Components.Schemas[name]
	}
	if s == nil {
		return []string{at + ": no schema"}
	}
	if len(s.OneOf) > 0 {
		fits := 0
		for _, one := range s.OneOf {
			if len(d.against(one, v, at)) == 0 {
				fits++
			}
		}
		if fits != 1 {
			return []string{fmt.Sprint(at, ": fits ", fits, " of several")}
		}
		return nil
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
		wrong = append(wrong, fmt.Sprintf("%s: %v is not one of %v", at, v, s.Enum))
	}
	switch is := v.(type) {
	case map[string]any:
		if s.Type != nil && s.Type != "object" {
			return append(wrong, at+" is an object")
		}
		for _, name := range s.Required {
			if _, ok := is[name]; !ok {
				wrong = append(wrong, at+" lacks "+name)
			}
		}
		for name, member := range is {
			if p := s.Properties[name]; p != nil {
				wrong = append(wrong, d.against(p, member, at+"."+name)...)
			} else if s.AdditionalProperties == false {
				wrong = append(wrong, at+" has "+name)
			}
		}
	case []any:
		if s.Type != nil && s.Type != "array" {
			return append(wrong, at+" is an array")
		}
		for i, item := range is {
			if s.Items != nil {
				wrong = append(wrong, d.against(s.Items, item, fmt.Sprint(at, "[", i, "]"))...)
			}
		}
	default:
		kinds := map[string][]any{"string": {"string"}, "float64": {"integer", "number"}, "bool": {"boolean"}, "<nil>": {"null"}}
		if s.Type != nil && !slices.Contains(kinds[fmt.Sprintf("%T", v)], s.Type) {
			wrong = append(wrong, fmt.Sprintf("%s is %v, not a %v", at, v, s.Type))
		}
	}
	return wrong
}

// inPath is a room's name in a path.
func inPath(name string) string { return url.PathEscape(name) }
