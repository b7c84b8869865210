// Package public is the chat page: what stands beside this file, made ready for
// the browser by the program in ./build, and embedded.
package public

import "embed"

//go:generate go run ./build

// dist holds what go generate made. The committed .keep lets the package compile
// before that; [Built] tells the two apart.
//
//go:embed all:dist
var dist embed.FS

// Built reports whether go generate has made the browser client. Without it
// [Handler] serves a page that says how to make it.
func Built() bool {
	_, err := dist.Open("dist/index.html")
	return err == nil
}
