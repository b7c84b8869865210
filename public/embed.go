// Package public serves the chat page. Its sources are beside this file; the program in ./build
// prepares them for the browser, and the result is embedded.
package public

import "embed"

//go:generate go run ./build

// dist holds the output of go generate. The committed .keep lets the package compile without it;
// [Built] reports whether it is there.
//
//go:embed all:dist
var dist embed.FS

// Built reports whether go generate has built the page. If not, [Handler] serves a page that says
// how to build it.
func Built() bool {
	_, err := dist.Open("dist/index.html")
	return err == nil
}
