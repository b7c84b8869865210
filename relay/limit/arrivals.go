package limit

import "time"

// Packets count packets by kind.
type Packets [kinds]int

// Arrivals judge a client by what it has sent, while that waits to be taken: what it is refused it could not be told
// yet, but it will be, since it has sent more than it may at any time. When it would be closed for that, it may be at
// once.
//
// Who keeps to its limits is never judged so, whatever crowd it is in, how late ever its packets are counted: each kind
// may have come with its whole burst at once after an interval in which nothing was counted, and this may have gone on
// at its rate during that.
type Arrivals struct {
	// immutable
	rates *Rates

	// owned by who counts
	last    time.Time
	left    [kinds]float64 // tokens
	refused float64        // how many more may be
}

// NewArrivals returns the arrivals of a client of which nothing has been counted.
func NewArrivals(rates *Rates) *Arrivals {
	a := &Arrivals{rates: rates, last: time.Now(), refused: float64(refusals.Burst)}
	for k := range rates {
		a.left[k] = a.most(Kind(k))
	}
	return a
}

// most is how much of a kind may have come at once: of bytes twice the burst, since that is what they are closed for.
func (a *Arrivals) most(k Kind) float64 {
	if k == Bytes {
		return 2 * float64(a.rates[k].Burst)
	}
	return float64(a.rates[k].Burst)
}

// Count counts packets that have come since the last call, or the call of NewArrivals. It reports true if the client
// is to be closed.
func (a *Arrivals) Count(packets *Packets) (tooMany bool) {
	now := time.Now()
	passed := now.Sub(a.last).Seconds()
	a.last = now
	a.refused += passed * refusals.PerSecond()
	for k, r := range a.rates {
		if r.IsOff() {
			continue
		}
		left := a.left[k] + passed*r.PerSecond() - float64(packets[k])
		a.refused += min(0, left)
		a.left[k] = min(max(0, left), a.most(Kind(k)))
	}
	tooMany = a.refused < 0
	a.refused = min(a.refused, float64(refusals.Burst))
	return tooMany
}
