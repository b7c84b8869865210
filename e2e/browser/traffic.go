package browser

import (
	"slices"
	"sync"

	"github.com/chromedp/cdproto/network"
)

// Response is one HTTP response that the page got.
type Response struct {
	URL       string
	Status    int64
	WireBytes int64 // headers and encoded body; 0 from the cache
}

// traffic adds up what came over the network since the page was opened. Its
// events arrive in order, before the answer to whatever the test asks next.
type traffic struct {
	mu        sync.Mutex
	pending   map[network.RequestID]Response
	responses []Response
	disturbed bool // something failed for no reason of the page's; see networkChanged
}

// networkChanged is how Chromium fails requests whenever the machine gets or
// loses an address. Where containers come and go, that is all the time, and has
// nothing to do with the page.
const networkChanged = "net::ERR_NETWORK_CHANGED"

func newTraffic() *traffic {
	tr := &traffic{}
	tr.reset()
	return tr
}

func (tr *traffic) reset() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.pending, tr.responses, tr.disturbed = map[network.RequestID]Response{}, nil, false
}

func (tr *traffic) wasDisturbed() bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.disturbed
}

func (tr *traffic) see(event any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	switch event := event.(type) {
	case *network.EventResponseReceived:
		tr.pending[event.RequestID] = Response{URL: event.Response.URL, Status: int64(event.Response.Status)}
	case *network.EventLoadingFinished:
		response := tr.pending[event.RequestID]
		delete(tr.pending, event.RequestID)
		response.WireBytes = int64(event.EncodedDataLength)
		tr.responses = append(tr.responses, response)
	case *network.EventLoadingFailed:
		delete(tr.pending, event.RequestID)
		tr.disturbed = tr.disturbed || event.ErrorText == networkChanged
	}
}

// Responses returns what the page loaded since it was opened, in the order in
// which it was complete.
func (tab *Tab) Responses() []Response {
	tab.traffic.mu.Lock()
	defer tab.traffic.mu.Unlock()
	return slices.Clone(tab.traffic.responses)
}

// WireBytes is how much of that came over the network, in all. (WebSockets do
// not count.)
func (tab *Tab) WireBytes() (total int64) {
	for _, response := range tab.Responses() {
		total += response.WireBytes
	}
	return total
}
