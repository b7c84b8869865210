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

	// Newest returns the newest messages of a room, as a relay tells them, a JSON array with the oldest
	// first, for its page. It returns nil if not everybody may read them, or they can't be had at once;
	// if Newest is nil, no page has any.
	Newest func(r *http.Request, room string) []byte
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
		p.fresh = newFreshPages(p.index, o.Newest)
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
	return page{index: assets[index], missing: assets["missing.html"], assets: assets}
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
	missing   *asset // shown to people at addresses where there is nothing; nil: none was built
	assets    map[string]*asset
	ancestors string // the directive of the policy that says who may embed it

	embeddable bool // somebody may

	fresh *freshPages // the page with messages in it; nil: there is none
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
		p.serveMissing(w, r)
		return
	}
	if a == p.index {
		if p.embeddable {
			letEmbed(w.Header())
		}
		a = p.withMessages(r)
	}
	a.serve(w, r, http.StatusOK)
}

// withMessages returns the page for a request, with the newest messages of its room if there are any for
// everybody.
func (p page) withMessages(r *http.Request) *asset {
	if p.fresh == nil {
		return p.index
	}
	encoding, ok := chooseEncoding(r.Header.Values("Accept-Encoding"), p.index.encoded)
	if !ok {
		return p.index
	}
	if a := p.fresh.of(r, encoding); a != nil {
		return a
	}
	return p.index
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

// serveMissing answers a request for what there is not. People, who ask for a document, are shown the way
// to the chat.
func (p page) serveMissing(w http.ResponseWriter, r *http.Request) {
	if p.missing == nil || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	p.missing.serve(w, r, http.StatusNotFound)
}

// serve answers a request with the file, under a status. It is left out if that is 200 and the client has
// it already.
func (a *asset) serve(w http.ResponseWriter, r *http.Request, status int) {
	header := w.Header()
	header.Set("Vary", "Accept-Encoding")
	header.Set("Content-Type", a.contentType)
	header.Set("Cache-Control", "no-cache")
	switch {
	case a.immutable:
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	case a.private:
		header.Set("Cache-Control", "private, no-cache")
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
	if status == http.StatusOK && matchesETag(r.Header.Get("If-None-Match"), tag) {
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
	w.WriteHeader(status)
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
