package fakeredis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// What a command answers is nil, an int64, a string (bulk), or one of these.
type (
	status   string // a simple string
	failure  string // an error, with its code
	array    []any
	mapping  []any // keys and values by turns; RESP2 has an array of them
	elements []any // a set; RESP2 has an array
	push     []any
	double   float64 // RESP2 has a string
)

func (f failure) Error() string { return string(f) }

const (
	errSyntax = failure("ERR syntax error")
	errType   = failure("WRONGTYPE Operation against a key holding the wrong kind of value")
	errInt    = failure("ERR value is not an integer or out of range")
)

// appendReply writes a reply as a version of RESP has it.
func appendReply(dst []byte, r any, resp3 bool) []byte {
	head := func(kind byte, n int) []byte {
		dst = strconv.AppendInt(append(dst, kind), int64(n), 10)
		return append(dst, "\r\n"...)
	}
	all := func(items []any) []byte {
		for _, item := range items {
			dst = appendReply(dst, item, resp3)
		}
		return dst
	}
	switch r := r.(type) {
	case nil:
		if resp3 {
			return append(dst, "_\r\n"...)
		}
		return append(dst, "$-1\r\n"...)
	case int64:
		return head(':', int(r))
	case string:
		dst = head('$', len(r))
		return append(append(dst, r...), "\r\n"...)
	case status:
		return append(append(append(dst, '+'), r...), "\r\n"...)
	case failure:
		return append(append(append(dst, '-'), r...), "\r\n"...)
	case double:
		if !resp3 {
			return appendReply(dst, formatDouble(float64(r)), resp3)
		}
		return append(append(append(dst, ','), formatDouble(float64(r))...), "\r\n"...)
	case array:
		dst = head('*', len(r))
		return all(r)
	case mapping:
		if resp3 {
			dst = head('%', len(r)/2)
		} else {
			dst = head('*', len(r))
		}
		return all(r)
	case elements:
		if resp3 {
			dst = head('~', len(r))
		} else {
			dst = head('*', len(r))
		}
		return all(r)
	case push:
		if resp3 {
			dst = head('>', len(r))
		} else {
			dst = head('*', len(r))
		}
		return all(r)
	}
	panic(fmt.Sprintf("fakeredis: a reply of type %T", r))
}

func formatDouble(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e17 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'g', 17, 64)
}

var errProtocol = errors.New("fakeredis: not a command")

// readCommand reads an array of bulk strings.
func readCommand(r *bufio.Reader) ([]string, error) {
	n, err := readLength(r, '*')
	if err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		size, err := readLength(r, '$')
		if err != nil {
			return nil, err
		}
		text := make([]byte, size+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		args[i] = string(text[:size])
	}
	return args, nil
}

func readLength(r *bufio.Reader, kind byte) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 4 || line[0] != kind {
		return 0, errProtocol
	}
	n, err := strconv.Atoi(line[1 : len(line)-2])
	if err != nil || n < 0 || n > 1<<28 {
		return 0, errProtocol
	}
	return n, nil
}
