package public

import (
	_ "embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

//go:embed unbuilt.html
var unbuilt []byte

// Options says what the page of a relay is like.
type Options struct {
	// Embedders are the origins of sites that may show the page in a frame and sign its users in, such
	// as https://example.com or, for all of its subdomains, https://*.example.com. What is none is
	// left out.
	Embedders []string

	// TokenRequired has the page ask for a token, and not for a guest's name.
	TokenRequired bool
}

// Handler returns a handler that serves the page at / and at /r/ROOM, and the files that it needs.
func Handler(o Options) http.Handler {
	embedders := slices.DeleteFunc(slices.Clone(o.Embedders), func(s string) bool { return !embedder.MatchString(s) })
	index := "index.html"
	if o.TokenRequired {
		index = "token.html"
	}
	p := load(index)
	p.ancestors, p.embeddable = frameAncestors(embedders), len(embedders) > 0
	if p.assets != nil {
		p.assets["embed.json"] = embedAsset(embedders)
	}
	return p
}

// load returns the page whose document is a file of this name.
func load(index string) page {
	if !Built() {
		return page{index: unbuiltAsset()}
	}
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is a constant
	}
	return loadFrom(files, index)
}

// loadFrom is load from these files. Those that an older build has left may lack the document.
func loadFrom(files fs.FS, index string) page {
	assets, err := loadAssets(files)
	if err != nil || assets[index] == nil {
		return page{index: unbuiltAsset()}
	}
	return page{index: assets[index], assets: assets}
}

func unbuiltAsset() *asset {
	return &asset{
		contentType: contentType(".html"),
		hash:        digest(unbuilt),
		identity:    func() ([]byte, error) { return unbuilt, nil },
	}
}

// embedAsset tells the page, when it is in a frame, whom it may trust.
func embedAsset(embedders []string) *asset {
	body, err := json.Marshal(struct {
		Origins []string `json:"origins"`
	}{append([]string{}, embedders...)})
	if err != nil {
		panic(err) // strings always encode
	}
	return &asset{
		contentType: contentType(".json"),
		hash:        digest(body),
		identity:    func() ([]byte, error) { return body, nil },
	}
}

// page is the handler. It is immutable.
type page struct {
	index     *asset
	assets    map[string]*asset
	ancestors string // the directive of the policy that says who may embed it

	embeddable bool // somebody may
}

func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	writePolicy(w.Header(), r.Host, p.ancestors)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	a := p.find(r.URL.Path)
	if a == nil {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	if a == p.index && p.embeddable {
		letEmbed(w.Header())
	}
	a.serve(w, r)
}

// find returns the file for a path, or nil. All rooms have the same page: the program reads the
// room's name from the address.
func (p page) find(path string) *asset {
	if path == "/" || strings.HasPrefix(path, "/r/") {
		return p.index
	}
	name := strings.TrimPrefix(path, "/")
	if strings.HasSuffix(name, ".html") {
		return nil // the page has one address alone
	}
	return p.assets[name]
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Vary", "Accept-Encoding")
	header.Set("Content-Type", a.contentType)
	header.Set("Cache-Control", "no-cache")
	if a.immutable {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}

	encoding, ok := chooseEncoding(r.Header.Values("Accept-Encoding"), a.encoded)
	if !ok {
		http.Error(w, "no acceptable encoding", http.StatusNotAcceptable)
		return
	}
	// A strong ETag identifies the bytes, so each encoding has its own.
	tag := `"` + a.hash + `"`
	if encoding != "" {
		tag = `"` + a.hash + "-" + encoding + `"`
	}
	header.Set("ETag", tag)
	if matchesETag(r.Header.Get("If-None-Match"), tag) {
		header.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}

	body, err := a.body(encoding)
	if err != nil {
		http.Error(w, "the file is damaged; run go generate ./... and build again", http.StatusInternalServerError)
		return
	}
	if encoding != "" {
		header.Set("Content-Encoding", encoding)
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body) // an error means that the client has gone
}

func (a *asset) body(encoding string) ([]byte, error) {
	if encoding != "" {
		return a.encoded[encoding], nil
	}
	return a.identity()
}

// matchesETag reports whether an If-None-Match header contains the tag, by weak comparison (RFC
// 9110, section 8.8.3.2).
func matchesETag(header, tag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == tag || candidate == "*" {
			return true
		}
	}
	return false
}
