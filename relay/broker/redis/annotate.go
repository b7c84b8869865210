package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// errOlderRelay: a relay of the fleet would misread annotations.
var errOlderRelay = fmt.Errorf("%w: a relay of an older version is still in the fleet, which does not know annotations", broker.ErrUnavailable)

// annotated is the sequence after which no body is large, of a room with annotations: pages are read by a
// script there, which tells how they stand.
const annotated = 1<<53 - 1 // as newest.lua says it

// annotateTries bounds how often an annotation is tried under another epoch.
const annotateTries = 4

// Annotate implements broker.Broker: one call of one script.
func (b *Broker) Annotate(ctx context.Context, a broker.Annotation) (out broker.Annotated, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c, err := b.ask()
	if err == nil {
		err = b.enterSlot(ctx)
	}
	if err != nil {
		return out, unavailable(err)
	}
	defer func() { <-b.slots }()
	isKnown := false
	for range annotateTries {
		epoch, err := b.feed.epochNow(ctx)
		if err != nil {
			return out, unavailable(err)
		}
		if a.Target.Epoch != epoch {
			return out, broker.ErrGap
		}
		out, err = b.annotateUnder(ctx, c, epoch, a, isKnown)
		switch {
		case errors.Is(err, errFleet):
			if err := b.knowAnnotations(ctx, c); err != nil {
				return out, err
			}
			isKnown = true
		case errors.Is(err, errStale):
			b.feed.suspect(epoch)
		default:
			return out, err
		}
	}
	return out, broker.ErrUnavailable
}

// errFleet: it has to be known first whether all relays know annotations.
var errFleet = errors.New("ask the fleet")

func (b *Broker) annotateUnder(ctx context.Context, c rueidis.Client, epoch string, a broker.Annotation, isKnown bool) (broker.Annotated, error) {
	_, known := b.feed.known()
	limits := b.cfg.Limits.WithDefaults()
	do := call{
		keys: []string{b.keys.head, b.keys.stream + a.Room, b.keys.index + a.Room, b.keys.older + a.Room, b.keys.notes + a.Room},
		args: []string{epoch, b.keys.channel + a.Room, strconv.FormatUint(known, 10), entryID(a.Target), a.Target.Digest,
			string(rune(a.Kind)), a.Value, flag(a.Remove), broker.Mark(a.User), broker.EditMark(a), a.Body, a.About,
			strconv.Itoa(b.cfg.History), ms(b.cfg.TTL), ms(broker.Idempotency),
			strconv.Itoa(limits.Reactions), strconv.Itoa(limits.ReactionKinds), flag(isKnown)},
	}
	text, err := annotateScript.run(ctx, c, do)[0].ToString()
	if err != nil {
		b.feed.noteRefusal(err)
		return broker.Annotated{}, unavailable(err)
	}
	out, err := parseAnnotated(epoch, text)
	if err == nil && !out.Duplicate && !b.feed.acknowledge(a.Room, out.Offset, out.At) {
		err = errStale
	}
	return out, err
}

// parseAnnotated reads what annotate.lua has answered.
func parseAnnotated(epoch, text string) (out broker.Annotated, err error) {
	f := strings.Fields(text)
	switch {
	case len(f) == 0:
	case f[0] == "!":
		return out, errStale
	case f[0] == "?":
		return out, errFleet
	case text == "- gap":
		return out, broker.ErrGap
	case text == "- deleted":
		return out, broker.ErrDeleted
	case text == "- crowded":
		return out, broker.ErrCrowded
	case f[0] == "=" && len(f) == 3:
		out.Duplicate = true
		err = parseCounts(&out, f[1:])
		return out, unavailable(err)
	case f[0] == "+" && len(f) == 7:
		r := parseReceipt(epoch, strings.Join(f[:5], " "))
		out.Offset, out.At = r.Offset, r.At
		return out, unavailable(errors.Join(r.Err, parseCounts(&out, f[5:])))
	}
	return out, unavailable(fmt.Errorf("unexpected answer %.80q", text))
}

func parseCounts(out *broker.Annotated, f []string) (err error) {
	var err1, err2 error
	out.Rev, err1 = strconv.ParseUint(f[0], 10, 63)
	out.Count, err2 = strconv.Atoi(f[1])
	return errors.Join(err1, err2)
}

// knowAnnotations returns an error if a relay of the fleet that takes clients would misread annotations.
func (b *Broker) knowAnnotations(ctx context.Context, c rueidis.Client) error {
	do := call{keys: []string{b.keys.relays}, args: []string{"-1"}}
	entries, err := othersScript.run(ctx, c, do)[0].AsStrSlice()
	if err != nil {
		return unavailable(err)
	}
	for _, entry := range entries {
		_, text, _ := strings.Cut(entry, " ")
		if is, err := parseAnnouncement(text); err != nil || is.Format < format {
			return errOlderRelay
		}
	}
	return nil
}

var errNote = errors.New("not a stored annotation")

// parseNote reads "<id of the message> <its digest> <kind> <1 if taken back> <rev> <count> <mark> <bytes of
// value> <bytes of about> <value><about><the message's body>".
func parseNote(text string) (*broker.Note, error) {
	f := strings.SplitN(text, " ", 10)
	if len(f) != 10 || len(f[2]) != 1 {
		return nil, errNote
	}
	n := &broker.Note{Kind: broker.Kind(f[2][0]), Remove: f[3] == "1", Mark: f[6]}
	var errs [5]error
	n.Target.Pos, n.Target.Seq, errs[0] = parseEntryID(f[0])
	n.Target.Digest = f[1]
	n.Rev, errs[1] = strconv.ParseUint(f[4], 10, 63)
	n.Count, errs[2] = strconv.Atoi(f[5])
	value, err3 := strconv.ParseUint(f[7], 10, 31)
	about, err4 := strconv.ParseUint(f[8], 10, 31)
	errs[3], errs[4] = err3, err4
	rest := f[9]
	if errors.Join(errs[:]...) != nil || value > broker.MaxReaction || value+about > uint64(len(rest)) {
		return nil, errNote
	}
	n.Value, n.About, n.Body = rest[:value], rest[value:value+about], rest[value+about:]
	return n, nil
}

// cutNotes reads "<bytes> <notes>" from the beginning of a text.
func cutNotes(text string) (*broker.Notes, string, error) {
	length, rest, ok := strings.Cut(text, " ")
	n, err := strconv.ParseUint(length, 10, 31)
	if !ok || err != nil || n > uint64(len(rest)) {
		return nil, "", errNote
	}
	notes, err := broker.ParseNotes(rest[:n])
	return notes, rest[n:], err
}
