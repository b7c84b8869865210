package relay

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/caarlos0/env/v11"

	"setu/relay/auth"
	"setu/relay/limit"
)

// Setting describes one field of Config. Help includes what it takes.
type Setting struct{ Name, Type, Default, Help string }

// Settings lists all settings, in the order of Config's fields.
func Settings() []Setting {
	var out []Setting
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if f.Tag.Get("env") == "" {
			continue
		}
		out = append(out, Setting{f.Tag.Get("env"), typeName(f.Type), f.Tag.Get("envDefault"), help(f)})
	}
	return out
}

// help returns what a setting is for, and what it takes.
func help(f reflect.StructField) string {
	out := f.Tag.Get("help")
	if what := takes(f); what != "" {
		out += "; " + what
	}
	if with := f.Tag.Get("with"); with != "" {
		out += "; only with " + either(strings.Split(with, ","))
	}
	return out
}

// takes returns what a setting takes, as far as its type and its tags say.
func takes(f reflect.StructField) string {
	low, high, most, words := f.Tag.Get("min"), f.Tag.Get("max"), f.Tag.Get("bytes"), choices(f.Tag)
	switch {
	case f.Type == reflect.TypeFor[limit.Rate]():
		return "like 50/s, 30/m, 5/h or 50/s:100, where up to 100 may come at once, or off"
	case high != "":
		return low + " to " + high
	case low != "":
		return low + " or more"
	case most != "":
		return "at most " + most + " bytes, without control characters"
	case len(words) > 0:
		return either(words)
	}
	return ""
}

// either lists words, of which one is meant.
func either(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// choices returns the words that a setting takes, or nothing if any will do.
func choices(tag reflect.StructTag) []string {
	if words := tag.Get("oneof"); words != "" {
		return strings.Split(words, ",")
	}
	return nil
}

// outOfRange returns an error for each setting that is not what its tags say it takes.
func outOfRange(c Config) (out []error) {
	v := reflect.ValueOf(c)
	for _, f := range reflect.VisibleFields(v.Type()) {
		if got := v.FieldByIndex(f.Index); !inRange(f.Tag, got) {
			out = append(out, bad(f.Tag.Get("env"), got.Interface()))
		}
	}
	return out
}

func inRange(tag reflect.StructTag, v reflect.Value) bool {
	if low, ok := bound(tag, "min", v.Type()); ok && v.Int() < low {
		return false
	}
	if high, ok := bound(tag, "max", v.Type()); ok && v.Int() > high {
		return false
	}
	if most, ok := bound(tag, "bytes", reflect.TypeFor[int]()); ok && !isText(v.String(), int(most)) {
		return false
	}
	words := choices(tag)
	return len(words) == 0 || slices.Contains(words, v.String()) || v.String() == "" && tag.Get("envDefault") == ""
}

// isText reports whether s is UTF-8 of at most so many bytes, without control characters.
func isText(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// alone returns an error for each setting that is set and means nothing, since none is of those that
// its tag with names: something is missing, and the relay would be another than was meant.
func alone(vars map[string]string) (out []error) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		name, with := f.Tag.Get("env"), f.Tag.Get("with")
		if with == "" || vars[name] == "" {
			continue
		}
		others := strings.Split(with, ",")
		if !slices.ContainsFunc(others, func(o string) bool { return vars[o] != "" }) {
			got := shown(vars[name])
			if f.Type == reflect.TypeFor[auth.Secret]() {
				got = hiddenText(len(vars[name]))
			}
			out = append(out, fmt.Errorf("%w (it means nothing without %s)", bad(name, got), either(others)))
		}
	}
	return out
}

// shown returns what may be told of a setting: a long text may be a key, by mistake.
func shown(text string) any {
	if len(text) > 100 {
		return hiddenText(len(text))
	}
	return withoutPassword(text)
}

// bound reads a bound of a number or a duration.
func bound(tag reflect.StructTag, name string, t reflect.Type) (n int64, ok bool) {
	text := tag.Get(name)
	if text == "" {
		return 0, false
	}
	var err error
	if t == reflect.TypeFor[time.Duration]() {
		var d time.Duration
		d, err = time.ParseDuration(text)
		n = int64(d)
	} else {
		n, err = strconv.ParseInt(text, 10, 64)
	}
	if err != nil {
		panic(err) // a tag of ours
	}
	return n, true
}

func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[slog.Level]():
		return "level"
	case reflect.TypeFor[limit.Rate]():
		return "rate"
	}
	switch t.Kind() {
	case reflect.Int:
		return "number"
	case reflect.Slice:
		return "list"
	}
	return "text"
}

// WriteHelp writes the settings as a table.
func WriteHelp(w io.Writer) {
	for _, s := range Settings() {
		def := s.Default
		if def == "" {
			def = "-"
		}
		fmt.Fprintf(w, "  %-23s %-9s %-16s %s\n", s.Name, s.Type, def, s.Help)
	}
}

// explain turns what the library says of fields into what the user knows: settings.
func explain(err error, vars map[string]string) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	var out []error
	for _, e := range all.Errors {
		var parse env.ParseError
		field, ok := reflect.StructField{}, false
		if errors.As(e, &parse) {
			field, ok = reflect.TypeFor[Config]().FieldByName(parse.Name)
		}
		if !ok {
			out = append(out, e)
			continue
		}
		name := field.Tag.Get("env")
		out = append(out, bad(name, vars[name]))
	}
	return errors.Join(out...)
}

// bad returns the error of a setting that got what it does not take.
func bad(name string, got any) error {
	for _, s := range Settings() {
		if s.Name == name {
			return fmt.Errorf("%s is %q: it takes a %s: %s", name, fmt.Sprint(got), s.Type, s.Help)
		}
	}
	return fmt.Errorf("%s is %q", name, fmt.Sprint(got))
}
