package socketio

import "bytes"

// The functions below walk JSON without a stack of their own, so that nesting costs nothing. They
// trust json.Valid to find what is wrong with it, and on invalid JSON they only promise to stay
// inside data.

// shallow reports whether at most maxDepth arrays and objects stand inside one another. It comes
// before json.Valid, whose memory grows with the depth.
func shallow(data []byte, maxDepth int) bool {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = skipString(data, i) - 1
		case '[', '{':
			if depth++; depth > maxDepth {
				return false
			}
		case ']', '}':
			depth--
		}
	}
	return true
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\r' || data[i] == '\t') {
		i++
	}
	return i
}

// skipString returns where the string that begins at i ends, or the end of data.
func skipString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		// Long strings without an escape go by in one step.
		n := bytes.IndexByte(data[i:], '"')
		if n < 0 {
			return len(data)
		}
		i += n
		if !escaped(data, i) {
			return i + 1
		}
	}
	return len(data)
}

// escaped reports whether an odd number of backslashes stands before data[i].
func escaped(data []byte, i int) bool {
	n := 0
	for i--; i >= 0 && data[i] == '\\'; i-- {
		n++
	}
	return n%2 == 1
}

// skipValue returns where the value that begins at i ends, or i itself if there is none.
func skipValue(data []byte, i int) int {
	depth := 0
	for i < len(data) {
		switch data[i] {
		case '"':
			i = skipString(data, i)
			if depth == 0 {
				return i
			}
			continue
		case '[', '{':
			depth++
		case ']', '}':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}
