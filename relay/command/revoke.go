package command

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"time"

	"setu/relay"
	"setu/relay/broker"
	"setu/relay/broker/redis"
	"setu/relay/events"
)

const revokeUsage = "setu revoke --user ID | --jti ID | --session ID [--issued-before RFC3339|SECONDS] [--reauth] [--ttl AUTH_MAX_TTL]; " +
	"--issued-before is now by default with --reauth, else never"

// revocation reads the arguments of setu revoke. No token is good for longer than longest.
func revocation(args []string, now time.Time, longest time.Duration) (r broker.Revocation, err error) {
	flags := flag.NewFlagSet("revoke", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var before string
	var ttl time.Duration
	flags.StringVar(&r.User, "user", "", "")
	flags.StringVar(&r.Token, "jti", "", "")
	flags.StringVar(&r.Session, "session", "", "")
	flags.StringVar(&before, "issued-before", "", "")
	flags.BoolVar(&r.Reauth, "reauth", false, "")
	flags.DurationVar(&ttl, "ttl", longest, "")
	err = flags.Parse(args)
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("%q is too much", flags.Arg(0))
	case ttl <= 0:
		err = errors.New("--ttl is how long it is kept: until the last token that it ends has expired")
	default:
		r.Until = now.Add(ttl).UnixMilli()
		if r.IssuedBefore, err = moment(before); err == nil {
			if err = r.Check(); err == nil && events.CheckRevocation(r) != nil {
				err = fmt.Errorf("--%w", events.CheckRevocation(r))
			}
		}
		if r.Reauth && before == "" { // else no other token would do
			r.IssuedBefore = events.EndOfSecond(now).UnixMilli()
		}
	}
	if err != nil {
		return r, fmt.Errorf("%w; %s", err, revokeUsage)
	}
	return r, nil
}

// moment reads a time, RFC 3339's or seconds since 1970, as milliseconds since 1970. None is 0.
func moment(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if seconds, err := strconv.ParseInt(text, 10, 40); err == nil && seconds > 0 {
		return seconds * 1000, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.UnixMilli() <= 0 {
		return 0, fmt.Errorf("--issued-before %q is neither like 2026-01-31T12:00:00Z nor seconds since 1970", text)
	}
	return t.UnixMilli(), nil
}

// Revoke ends somebody's right to be connected, on all relays of the fleet that these settings name, and
// prints on how many it holds; on warn, if there is none.
func Revoke(cfg relay.Config, args []string, out, warn io.Writer) error {
	r, err := revocation(args, time.Now(), cfg.AuthMaxTTL)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(out, revokeUsage)
		return nil
	}
	if err != nil {
		return err
	}
	if cfg.RedisURL == "" {
		return errors.New("REDIS_URL is not set: it names the Redis that the relays share, which takes the revocation")
	}
	if wait := time.Until(time.UnixMilli(r.IssuedBefore)); wait > 0 && wait <= time.Second {
		time.Sleep(wait) // what is issued once this is stored is good
	}
	began := time.Now()
	held, err := redis.Revoke(context.Background(), redis.Config{URL: cfg.RedisURL, CA: cfg.RedisCA, Prefix: cfg.RedisPrefix}, r)
	if !held.Stored {
		return fmt.Errorf("revoked nothing: %w", cmp.Or(err, broker.ErrUnavailable))
	}
	fmt.Fprintf(out, "revoked, after %[3]v: relays that hold it %[1]d, not reached yet %[2]d\n", held.Holds, held.Unreached, time.Since(began).Round(time.Millisecond))
	switch {
	case held.Unreached > 0:
		return errors.New("it is stored, and holds on the others when they are back")
	case err == nil && held.Holds == 0:
		fmt.Fprintf(warn, "setu: no relay has registered under the REDIS_PREFIX %q in this database: it is stored for those to come. If relays run, theirs is another\n", cfg.RedisPrefix)
	}
	return err
}
