package dev

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"

	"setu/relay"
	"setu/relay/hook"
)

const usage = `setu dev runs a relay for oneself: in memory, at 127.0.0.1, with a lobby that every client is in. It prints
what an app would be asked, and shows at /_dev who is connected, in which rooms, and what happens.
Without more, whatever a client emits the lobby hears. With HOOK_URL the app there is asked; with
--rules a file answers, and the app is asked what no rule is for. See docs/dev.md.

`

// Dev is what setu dev has beside a relay.
type Dev struct {
	// Config has the settings of the relay to run.
	Config relay.Config

	plan    plan
	path    string // of the rules
	journal *journal
	forward *http.Transport // to the app
}

// New reads the arguments of setu dev, and the environment, as os.Environ returns it. What is asked is printed
// on out. If the arguments ask for help, that is printed, and New returns flag.ErrHelp.
func New(args, environ []string, out io.Writer) (*Dev, error) {
	flags := flag.NewFlagSet("setu dev", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	path := flags.String("rules", "", "a `file` of rules that answer hooks; it is read again when it changes")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(out, usage)
		flags.SetOutput(out)
		flags.PrintDefaults()
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("dev: %w", err)
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("dev: %q is no flag", flags.Arg(0))
	}
	d := &Dev{path: *path, plan: planOf(environ, *path != ""), journal: &journal{out: out}}
	if d.Config, err = relay.LoadConfig(d.plan.settings); err != nil {
		return nil, fmt.Errorf("bad settings:\n%w", err)
	}
	rules, err := openRules(d.path, func(err error) { d.journal.say(printable("--rules: " + err.Error())) })
	if err != nil {
		return nil, fmt.Errorf("dev: --rules: %w", err)
	}
	d.forward = hook.NewTransport(hook.Config{Network: d.Config.HookNetwork, Timeout: d.Config.HookTimeout, Concurrency: d.Config.HookConcurrency})
	a := &app{rules: rules, maxAnswer: d.Config.HookAnswerBytes, record: d.journal.add, forward: d.forward}
	trimmed := make([]string, len(d.plan.forwards))
	for i, name := range d.plan.forwards {
		trimmed[i] = strings.TrimSpace(name)
	}
	if a.forwards, err = hook.ParseEvents(trimmed); err != nil { // LoadConfig has refused it
		return nil, err
	}
	d.Config.HookTransport = a
	return d, nil
}

// Close closes the connections to the app that are kept. The relay is closed before.
func (d *Dev) Close() { d.forward.CloseIdleConnections() }

// Greet says at which URL the relay is, and what it does.
func (d *Dev) Greet(url string) {
	say := d.journal.say
	say("setu dev: " + url + ", and what happens there: " + url + path)
	say(fmt.Sprintf("every client is in the room %q", d.Config.Lobby))
	switch {
	case d.plan.all:
		say("what a client emits, all of them hear; HOOK_URL=http://localhost:PORT/ or --rules FILE has an app or rules answer")
	case d.plan.hasApp && d.path != "":
		say("hooks are answered by " + printable(d.path) + ", and by the app at HOOK_URL where no rule is for them")
	case d.plan.hasApp:
		say("hooks are answered by the app at HOOK_URL: " + strings.Join(d.plan.forwards, ","))
	case d.path != "":
		say("hooks are answered by " + printable(d.path))
	}
	if len(d.plan.ignored) > 0 {
		say(strings.Join(d.plan.ignored, ", ") + ": not used; everything is in memory, and ends with it")
	}
	if isOpen(d.Config) {
		say("WARNING: HOST is " + printable(d.Config.Host) + ": whoever can reach this machine sees at " + path + " who is connected and what they say. setu dev is for this machine alone")
	}
}
