package chat

import "time"

// LongestPause bounds the pause after a frame.
const LongestPause = 250 * time.Millisecond

// Pace says when the next frame may be drawn: after at least as long a pause as the last one took, with all
// that the browser does for it and has put off meanwhile. Otherwise, in a busy room on a slow machine, messages
// would come faster than they are read. What comes in a pause is drawn at once after it, and what has gone by
// until then is not drawn at all. The zero Pace has none to wait for.
type Pace struct {
	began time.Time // when the last frame was begun; zero: it is done
	next  time.Time // before which no other is begun
}

// Ready reports whether a frame may be drawn now.
func (p *Pace) Ready(now time.Time) bool { return !now.Before(p.next) }

// Begin notes that one has been begun. Done may come late, or never: a hidden page's timers do.
func (p *Pace) Begin(now time.Time) { p.began, p.next = now, now.Add(LongestPause) }

// Done notes that the browser has come to other things after a frame.
func (p *Pace) Done(now time.Time) {
	if !p.began.IsZero() && !p.next.IsZero() {
		p.next = now.Add(min(now.Sub(p.began), LongestPause))
	}
	p.began = time.Time{}
}

// Hurry has the next frame drawn without a pause, since somebody waits for what they have done.
func (p *Pace) Hurry() { p.next = time.Time{} }
