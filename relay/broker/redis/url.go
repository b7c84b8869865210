package redis

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// What can be wrong with the URL of a Redis. It holds a password, and its parts may not be what
// they seem if that is not escaped: so an error says which part is wrong, and never what it is.
var (
	errScheme   = errors.New("the scheme is missing or unknown: it begins with redis://, rediss://, valkey://, valkeys:// or unix://")
	errControl  = errors.New("a line break or another control character stands within it")
	errEscape   = errors.New("the user name or password is not escaped: write / as %2F, ? as %3F, # as %23, [ as %5B, ] as %5D, % as %25, a space as %20")
	errHost     = errors.New("the host or the port is malformed: it is host, host:port or [IPv6 address]:port")
	errPort     = errors.New("the port is not a number from 1 to 65535")
	errDatabase = errors.New("the database, after the host, is not a number from 0 on")
	errSocket   = errors.New("the path of the socket is missing: it is unix:///path/to/socket")
	errOption   = errors.New("an option after the ? is malformed")
)

// parseURL reads the URL of a Redis. Space around it, such as the line break at the end of a
// mounted secret, does not belong to it.
func parseURL(text string) (rueidis.ClientOption, error) {
	text = strings.TrimSpace(text)
	u, err := url.Parse(text)
	if err != nil {
		return rueidis.ClientOption{}, redacted(text, nil, whyNot(text))
	}
	if err := checkURL(text, u); err != nil {
		return rueidis.ClientOption{}, redacted(text, u, err)
	}
	if u.Scheme == "unix" && strings.Trim(u.Path, "/") == "" {
		return rueidis.ClientOption{}, redacted(text, u, errSocket)
	}
	if u.Scheme != "unix" {
		u.Path = strings.TrimSuffix(u.Path, "/")
		if db := strings.TrimPrefix(u.Path, "/"); db != "" && !isNumber(db) {
			return rueidis.ClientOption{}, redacted(text, u, errDatabase)
		}
	}
	opt, err := rueidis.ParseURL(u.String())
	switch {
	case err != nil:
		err = redacted(text, u, errOption)
	case opt.SelectDB < 0:
		err = redacted(text, u, errDatabase)
	}
	return opt, err
}

// whyNot reports why text is no URL.
func whyNot(text string) error {
	_, rest, ok := cutScheme(text)
	switch {
	case !ok:
		return errScheme
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errControl
	case strings.Contains(rest, "@"):
		if at := strings.LastIndexByte(rest, '@'); isEscaped(rest[:at]) {
			return errHost
		}
		return errEscape
	}
	return errHost
}

// checkURL finds what url.Parse accepts and cannot be meant.
func checkURL(text string, u *url.URL) error {
	_, rest, ok := cutScheme(text)
	authority := rest[:strings.IndexFunc(rest+"/", func(r rune) bool { return strings.ContainsRune("/?#", r) })]
	switch {
	case !ok || u.Opaque != "":
		return errScheme
	case strings.Contains(rest[len(authority):], "@") || u.Fragment != "":
		return errEscape // what seems to be the host is the beginning of a password
	case !strings.HasPrefix(u.Host, "[") && strings.Count(u.Host, ":") > 1:
		return errHost
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errPort
		}
	}
	return nil
}

// cutScheme takes the scheme off, if it is one that is known.
func cutScheme(text string) (scheme, rest string, ok bool) {
	for _, scheme := range []string{"redis", "rediss", "valkey", "valkeys", "unix"} {
		n := len(scheme) + len("://")
		if len(text) >= n && strings.EqualFold(text[:n], scheme+"://") {
			return scheme, text[n:], true
		}
	}
	return "", text, false
}

// isEscaped reports whether a user name and password are written as a URL wants them.
func isEscaped(s string) bool {
	u, err := url.Parse("redis://" + s + "@host")
	return err == nil && u.User != nil && u.Host == "host"
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// redacted says what is wrong with a URL, of which it shows what cannot be part of a password:
// nothing but the scheme if u is nil, or is not what it seems.
func redacted(text string, u *url.URL, why error) error {
	scheme, _, ok := cutScheme(text)
	switch {
	case !ok:
		return why
	case u == nil || why == errEscape || why == errScheme:
		return fmt.Errorf("%w (in %s://***)", why, scheme)
	case u.User != nil:
		return fmt.Errorf("%w (in %s://***@%s)", why, scheme, u.Host)
	}
	return fmt.Errorf("%w (in %s://%s)", why, scheme, u.Host)
}

// redact takes the password out of an error: a Redis that does not know AUTH, or HELLO, repeats
// what it was called with.
func (b *Broker) redact(err error) error {
	if err == nil || b.opt.Password == "" || !strings.Contains(err.Error(), b.opt.Password) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), b.opt.Password, "***"))
}
