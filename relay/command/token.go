// Package command is what setu does beside serving.
package command

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"setu/relay/auth"
)

const tokenUsage = `setu token --sub ID prints a token for tests and for back ends without a library for them.
It is signed by AUTH_SECRET (HS256), with AUTH_ISSUER and AUTH_AUDIENCE where they are set.

`

// Token prints a token that relays with the same settings take. It is for tests, and for back ends without
// a library for them.
func Token(cfg auth.Config, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("setu token", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	sub := flags.String("sub", "", "the user's `id`, which others see")
	name := flags.String("name", "", "the user's `name`")
	rules := flags.String("rooms", "", "what the user may do, as `rules`: lobby:join,publish team-*:join,publish,signal,history,members")
	ttl := flags.Duration("ttl", time.Hour, "how long the token is good for")
	id := flags.String("jti", "", "the token's own `id`, by which it can be revoked; made up by default")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(out, tokenUsage)
		flags.SetOutput(out)
		flags.PrintDefaults()
		return nil
	}
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("token: %q is no flag; rules with spaces want quotes", flags.Arg(0))
	}
	rooms, err := auth.ParseRooms(*rules)
	if err != nil {
		return fmt.Errorf("token: --rooms: %w", err)
	}
	now := time.Now()
	token, err := cfg.Mint(auth.Grant{UserID: *sub, Name: *name, TokenID: *id, Issued: now, Expires: now.Add(*ttl), Rooms: rooms})
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	_, err = fmt.Fprintln(out, token)
	return err
}
