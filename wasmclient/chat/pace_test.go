package chat

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	const ms = time.Millisecond
	start := time.Unix(1000, 0)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	for name, c := range map[string]struct {
		do    func(*Pace)
		after time.Duration // when the next frame may be drawn
	}{
		"nothing drawn yet":                   {func(*Pace) {}, 0},
		"as long a pause as the frame":        {func(p *Pace) { p.Begin(at(0)); p.Done(at(20 * ms)) }, 40 * ms},
		"no longer than that, however it was": {func(p *Pace) { p.Begin(at(0)); p.Done(at(time.Second)) }, time.Second + LongestPause},
		"it is not told of the end":           {func(p *Pace) { p.Begin(at(0)) }, LongestPause},
		"somebody waits":                      {func(p *Pace) { p.Begin(at(0)); p.Done(at(20 * ms)); p.Hurry() }, 0},
		"somebody waits for the frame":        {func(p *Pace) { p.Begin(at(0)); p.Hurry(); p.Done(at(20 * ms)) }, 0},
		"an end that is told twice":           {func(p *Pace) { p.Begin(at(0)); p.Done(at(20 * ms)); p.Done(at(90 * ms)) }, 40 * ms},
	} {
		var p Pace
		c.do(&p)
		if !p.Ready(at(c.after)) || c.after > 0 && p.Ready(at(c.after-1)) {
			t.Errorf("%s: not after %v", name, c.after)
		}
	}
}
