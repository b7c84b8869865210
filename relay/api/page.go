package api

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// What describes the API, for programs and for people. Anybody may read it.
const (
	documentPath = Path + "openapi.json"
	pagePath     = Path
)

func isDocument(r *http.Request) bool {
	return (r.URL.Path == documentPath || r.URL.Path == pagePath) && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

//go:embed page.css
var pageStyle string

// documents serves the description, as JSON and as a page.
func (a *API) documents() http.Handler {
	doc := a.huma.OpenAPI()
	delete(doc.Components.Schemas.Map(), "ErrorModel") // huma's own, which nobody is sent
	text, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		panic(err) // of our own types: any test finds it
	}
	page := a.page(doc)
	sum := sha256.Sum256([]byte(pageStyle))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == documentPath {
			w.Header().Set("Content-Type", "application/openapi+json")
			_, _ = w.Write(text)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		_, _ = w.Write(page)
	})
}

// pageOperation is an operation on the page.
type pageOperation struct {
	Method, Path, ID, Summary, About, Right string

	Params    []pageField
	Body      []pageField
	Responses []pageResponse
}

type pageField struct {
	Name, Type, About string
	Required          bool
}

type pageResponse struct {
	Status, About string
	Fields        []pageField
}

// page writes the page.
func (a *API) page(doc *huma.OpenAPI) []byte {
	var all []pageOperation
	for _, path := range doc.Paths {
		for _, op := range []*huma.Operation{path.Get, path.Post} {
			if op != nil {
				all = append(all, a.pageOperation(doc, op))
			}
		}
	}
	slices.SortFunc(all, func(x, y pageOperation) int {
		if c := slices.Index(rights, Right(x.Right)) - slices.Index(rights, Right(y.Right)); c != 0 {
			return c
		}
		return strings.Compare(x.Path+x.Method, y.Path+y.Method)
	})
	var out page
	out.begin(doc)
	for _, op := range all {
		out.operation(op)
	}
	out.end(fields(doc, doc.Components.Schemas.Map()["Problem"]))
	return []byte(out.String())
}

// page is written by hand: a template's methods, which are looked up by name, would keep half of what no
// relay uses in the binary.
type page struct{ strings.Builder }

// say writes text around strings, which are escaped.
func (p *page) say(texts ...string) {
	for i, text := range texts {
		if i%2 == 1 {
			text = html.EscapeString(text)
		}
		p.WriteString(text)
	}
}

func (p *page) begin(doc *huma.OpenAPI) {
	p.say(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Setu's server API</title>
<style>` + pageStyle + `</style>
</head>
<body>
<h1>Setu's server API</h1>
`)
	for paragraph := range strings.SplitSeq(doc.Info.Description, "\n\n") {
		p.say("<p>", paragraph, "</p>\n")
	}
	p.say(`<p>For programs: <a href="`+documentPath+`">`, documentPath, "</a> (OpenAPI 3.1).</p>\n")
}

func (p *page) operation(op pageOperation) {
	p.say(`<section id="`, op.ID, `"><h2><span class="path">`, op.Method+" "+op.Path, `</span> <span class="right">`, op.Right, "</span></h2>\n<p>", op.Summary+". "+op.About, "</p>\n")
	p.fields("Parameters", op.Params)
	p.fields("Body", op.Body)
	for _, r := range op.Responses {
		p.fields(r.Status+": "+r.About, r.Fields)
	}
	p.say("</section>\n")
}

// fields writes a table. Parameters and a body that are not there have none.
func (p *page) fields(title string, fields []pageField) {
	if len(fields) == 0 && !strings.Contains(title, ":") {
		return
	}
	p.say("<h3>", title, "</h3><table>\n")
	for _, f := range fields {
		mark := ""
		if f.Required {
			mark = " *"
		}
		p.say("<tr><td><code>", f.Name, "</code>", mark, "</td><td>", f.Type, "</td><td>", f.About, "</td></tr>\n")
	}
	p.say("</table>\n")
}

func (p *page) end(problem []pageField) {
	p.say(`<section id="problem"><h2>Problems</h2><p>What fails is answered with <code>application/problem+json</code>. Members with * are always there.</p>`)
	p.fields("Problem:", problem)
	p.say("</section>\n</body>\n</html>\n")
}

func (a *API) pageOperation(doc *huma.OpenAPI, op *huma.Operation) pageOperation {
	out := pageOperation{Method: op.Method, Path: op.Path, ID: op.OperationID, Summary: op.Summary, About: op.Description, Right: op.Tags[0]}
	for _, p := range op.Parameters {
		out.Params = append(out.Params, pageField{Name: p.Name + " (" + p.In + ")", Type: typeText(doc, p.Schema), About: p.Description, Required: p.Required})
	}
	if op.RequestBody != nil {
		out.Body = fields(doc, op.RequestBody.Content["application/json"].Schema)
	}
	for status, r := range op.Responses {
		if status == "default" {
			continue
		}
		one := pageResponse{Status: status, About: r.Description}
		if c := r.Content["application/json"]; c != nil {
			one.Fields = fields(doc, c.Schema)
		}
		out.Responses = append(out.Responses, one)
	}
	slices.SortFunc(out.Responses, func(x, y pageResponse) int { return strings.Compare(x.Status, y.Status) })
	return out
}

// resolved returns a schema itself, in the place of a reference to it.
func resolved(doc *huma.OpenAPI, s *huma.Schema) *huma.Schema {
	if s.Ref != "" {
		return doc.Components.Schemas.SchemaFromRef(s.Ref)
	}
	return s
}

// fields lists the members of an object, those of the objects in it after them.
func fields(doc *huma.OpenAPI, s *huma.Schema) (out []pageField) {
	s = resolved(doc, s)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		member := s.Properties[name]
		about := member.Description
		if about == "" {
			about = resolved(doc, member).Description
		}
		out = append(out, pageField{name, typeText(doc, member), about, slices.Contains(s.Required, name)})
		inner := resolved(doc, member)
		if inner.Items != nil {
			inner = resolved(doc, inner.Items)
		}
		for _, f := range fields(doc, inner) {
			f.Name = name + "." + f.Name
			out = append(out, f)
		}
		for _, one := range inner.OneOf {
			for _, f := range fields(doc, one) {
				f.Name = name + "." + f.Name
				out = append(out, f)
			}
		}
	}
	return out
}

// typeText says what a value is.
func typeText(doc *huma.OpenAPI, s *huma.Schema) string {
	switch r := resolved(doc, s); {
	case len(r.OneOf) > 0:
		return "one of several"
	case r.Type == huma.TypeArray:
		return "array of " + typeText(doc, r.Items)
	case r.Type == "":
		return "any JSON"
	case r.Format != "" && r.Type == huma.TypeString:
		return r.Type + " (" + r.Format + ")"
	default:
		return r.Type
	}
}
