package e2e_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// instruction is one of a Dockerfile's, with its continued lines joined.
type instruction struct {
	name, rest string
}

func parseDockerfile(source string) (instructions []instruction) {
	comment := regexp.MustCompile(`(?m)^\s*#.*\n`)
	joined := strings.ReplaceAll(comment.ReplaceAllString(source, ""), "\\\n", " ")
	for line := range strings.Lines(joined) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != "" {
			instructions = append(instructions, instruction{strings.ToUpper(name), strings.Join(strings.Fields(rest), " ")})
		}
	}
	return instructions
}

// checkDockerfile returns what is wrong with a Dockerfile for a relay: one that
// builds with any build image, and makes an image that drains and is not root.
func checkDockerfile(source string) []string {
	var c complaints
	c.unless(!regexp.MustCompile(`(?im)^#\s*syntax\s*=`).MatchString(source), "syntax: a frontend must be pulled from a registry")
	stages := [][]instruction{nil} // what precedes the first FROM is the first
	for _, i := range parseDockerfile(source) {
		if i.name == "FROM" {
			stages = append(stages, nil)
		}
		stages[len(stages)-1] = append(stages[len(stages)-1], i)
	}
	if len(stages) != 3 {
		return append(c, fmt.Sprintf("FROM: %d stages, want a build and an image", len(stages)-1))
	}
	before, build, image := stages[0], stages[1], stages[2]

	c.unless(regexp.MustCompile(`^GO_IMAGE=golang:`).MatchString(last(before, "ARG")), "ARG: the build image is no argument: %q", last(before, "ARG"))
	c.unless(last(build, "FROM") == "${GO_IMAGE} AS build", "FROM: the build is from %q", last(build, "FROM"))
	c.unless(strings.Contains(last(build, "ENV"), "GOTOOLCHAIN=local"), "ENV: GOTOOLCHAIN is not local")
	c.unless(strings.Contains(last(build, "ENV"), "CGO_ENABLED=0"), "ENV: cgo is on, and scratch has no C library")
	c.unless(strings.Contains(last(build, "RUN"), "go generate"), "RUN: the page's program is not generated")

	c.unless(last(image, "FROM") == "scratch", "FROM: the image is from %q", last(image, "FROM"))
	c.unless(last(image, "COPY") == "--from=build /setu /setu", "COPY: %q", last(image, "COPY"))
	c.unless(regexp.MustCompile(`^[1-9][0-9]*(:[1-9][0-9]*)?$`).MatchString(last(image, "USER")), "USER: %q is root, or a name that scratch can't look up", last(image, "USER"))
	c.unless(isExecForm(last(image, "ENTRYPOINT"), "/setu"), "ENTRYPOINT: %q is not the binary in exec form", last(image, "ENTRYPOINT"))
	_, health, _ := strings.Cut(last(image, "HEALTHCHECK"), "CMD ")
	c.unless(isExecForm(health, "/setu", "health"), "HEALTHCHECK: %q is not the binary's own in exec form", health)
	c.unless(last(image, "EXPOSE") == "8080", "EXPOSE: %q", last(image, "EXPOSE"))
	return c
}

// last returns what the last instruction of that name says; "" without one.
func last(stage []instruction, name string) (rest string) {
	for _, i := range stage {
		if i.name == name {
			rest = i.rest
		}
	}
	return rest
}

func isExecForm(rest string, want ...string) bool {
	var words []string
	return json.Unmarshal([]byte(rest), &words) == nil && fmt.Sprint(words) == fmt.Sprint(want)
}
