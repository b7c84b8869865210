package fakeredis

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// interpreter runs a node's scripts, one at a time.
type interpreter struct {
	n        *node
	state    *lua.LState
	compiled map[string]*lua.FunctionProto // by text
	readonly bool
}

func newInterpreter(n *node) *interpreter {
	in := &interpreter{n: n, state: lua.NewState(lua.Options{SkipOpenLibs: true}), compiled: map[string]*lua.FunctionProto{}}
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
		lua.StringLibName: lua.OpenString, lua.MathLibName: lua.OpenMath} {
		in.state.Push(in.state.NewFunction(open))
		in.state.Push(lua.LString(name))
		in.state.Call(1, 0)
	}
	redis := in.state.NewTable()
	for name, f := range map[string]lua.LGFunction{
		"call":  func(l *lua.LState) int { return in.call(l, true) },
		"pcall": func(l *lua.LState) int { return in.call(l, false) },
		"sha1hex": func(l *lua.LState) int {
			sum := sha1.Sum([]byte(l.CheckString(1)))
			l.Push(lua.LString(hex.EncodeToString(sum[:])))
			return 1
		},
		"error_reply":  func(l *lua.LState) int { return reply(l, "err") },
		"status_reply": func(l *lua.LState) int { return reply(l, "ok") },
	} {
		redis.RawSetString(name, in.state.NewFunction(f))
	}
	in.state.SetGlobal("redis", redis)
	return in
}

func reply(l *lua.LState, field string) int {
	t := l.NewTable()
	t.RawSetString(field, lua.LString(l.CheckString(1)))
	l.Push(t)
	return 1
}

// call runs a command of a script's. With raise, an error ends the script.
func (in *interpreter) call(l *lua.LState, raise bool) int {
	args := make([]string, l.GetTop())
	for i := range args {
		switch v := l.Get(i + 1).(type) {
		case lua.LString:
			args[i] = string(v)
		case lua.LNumber:
			args[i] = numberText(float64(v))
		default:
			l.RaiseError("ERR Lua redis lib command arguments must be strings or integers")
		}
	}
	if len(args) == 0 {
		l.RaiseError("ERR Please specify at least one argument for this redis.call() call")
	}
	var r any
	if c := in.n.commands[strings.ToUpper(args[0])]; in.readonly && c != nil && c.write {
		r = failure("ERR Write commands are not allowed from read-only scripts.")
	} else {
		r = in.n.run(args)
	}
	if f, failed := r.(failure); failed {
		t := l.NewTable()
		t.RawSetString("err", lua.LString(f))
		if raise {
			l.Error(t, 1)
		}
		l.Push(t)
		return 1
	}
	l.Push(toLua(l, r))
	return 1
}

// numberText is how Redis makes an argument of a Lua number.
func numberText(f float64) string {
	if f == float64(int64(f)) {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', 17, 64)
}

func toLua(l *lua.LState, r any) lua.LValue {
	list := func(items []any) lua.LValue {
		t := l.CreateTable(len(items), 0)
		for i, item := range items {
			t.RawSetInt(i+1, toLua(l, item))
		}
		return t
	}
	switch r := r.(type) {
	case nil:
		return lua.LFalse
	case int64:
		return lua.LNumber(r)
	case string:
		return lua.LString(r)
	case double:
		return lua.LString(formatDouble(float64(r)))
	case status:
		t := l.NewTable()
		t.RawSetString("ok", lua.LString(r))
		return t
	case array:
		return list(r)
	case mapping:
		return list(r)
	case elements:
		return list(r)
	}
	panic(fmt.Sprintf("fakeredis: a reply of type %T in a script", r))
}

func fromLua(v lua.LValue) any {
	switch v := v.(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return int64(v)
	case lua.LBool:
		if v {
			return int64(1)
		}
		return nil
	case *lua.LTable:
		if text, ok := v.RawGetString("err").(lua.LString); ok {
			return failure(text)
		}
		if text, ok := v.RawGetString("ok").(lua.LString); ok {
			return status(text)
		}
		out := array{}
		for i := 1; ; i++ {
			item := v.RawGetInt(i)
			if item == lua.LNil {
				return out
			}
			out = append(out, fromLua(item))
		}
	}
	return nil
}

func shaOf(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (n *node) load(text string) any {
	if _, err := n.lua.compile(text); err != nil {
		return failure("ERR Error compiling script (new function): " + err.Error())
	}
	sha := shaOf(text)
	n.scripts[sha] = text
	return sha
}

func (in *interpreter) compile(text string) (*lua.FunctionProto, error) {
	if p := in.compiled[text]; p != nil {
		return p, nil
	}
	chunk, err := parse.Parse(strings.NewReader(text), "@user_script")
	if err != nil {
		return nil, err
	}
	p, err := lua.Compile(chunk, "@user_script")
	if err == nil {
		in.compiled[text] = p
	}
	return p, err
}

func (n *node) evalSHA(sha string, a []string, readonly bool) any {
	text, known := n.scripts[strings.ToLower(sha)]
	if !known {
		return failure("NOSCRIPT No matching script. Please use EVAL.")
	}
	return n.eval(text, a, readonly)
}

// eval runs a script: a is the count of keys, keys, arguments.
func (n *node) eval(text string, a []string, readonly bool) any {
	count, err := strconv.Atoi(a[0])
	switch {
	case err != nil:
		return errInt
	case count < 0:
		return failure("ERR Number of keys can't be negative")
	case count > len(a)-1:
		return failure("ERR Number of keys can't be greater than number of args")
	}
	if r := n.load(text); !isText(r) {
		return r
	}
	in := n.lua
	proto, _ := in.compile(text)
	table := func(all []string) *lua.LTable {
		t := in.state.CreateTable(len(all), 0)
		for i, s := range all {
			t.RawSetInt(i+1, lua.LString(s))
		}
		return t
	}
	in.state.SetGlobal("KEYS", table(a[1:1+count]))
	in.state.SetGlobal("ARGV", table(a[1+count:]))
	in.readonly = readonly
	in.state.Push(in.state.NewFunctionFromProto(proto))
	if err := in.state.PCall(0, 1, nil); err != nil {
		return scriptError(err, shaOf(text))
	}
	r := fromLua(in.state.Get(-1))
	in.state.Pop(1)
	return r
}

func isText(r any) bool { _, ok := r.(string); return ok }

// scriptError is what Redis answers for a script that ended with an error.
func scriptError(err error, sha string) failure {
	var api *lua.ApiError
	if e, ok := err.(*lua.ApiError); ok { //nolint:errorlint // as PCall returns it
		api = e
	}
	if api != nil {
		if t, ok := api.Object.(*lua.LTable); ok {
			if text, ok := t.RawGetString("err").(lua.LString); ok {
				return failure(string(text) + " script: " + sha + ", on @user_script:1.")
			}
		}
		first := strings.SplitN(api.Object.String(), "\n", 2)[0]
		if i := slices.IndexFunc(knownCodes, func(c string) bool { return strings.Contains(first, c) }); i >= 0 {
			first = first[strings.Index(first, knownCodes[i]):]
			return failure(first + " script: " + sha + ", on @user_script:1.")
		}
		return failure("ERR " + first + " script: " + sha + ", on @user_script:1.")
	}
	return failure("ERR " + err.Error())
}

var knownCodes = []string{"ERR ", "WRONGTYPE "}
