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
	disturbed []string // what failed for no reason of the page's; see networkChanged
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
	tr.pending, tr.responses, tr.disturbed = map[network.RequestID]Response{}, nil, nil
}

func (tr *traffic) wasDisturbed() bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.disturbed) > 0
}

func (tr *traffic) see(event any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	switch event := event.(type) {
	case *network.EventRequestWillBeSent:
		tr.pending[event.RequestID] = Response{URL: event.Request.URL}
	case *network.EventResponseReceived:
		tr.pending[event.RequestID] = Response{URL: event.Response.URL, Status: int64(event.Response.Status)}
	case *network.EventLoadingFinished:
		response := tr.pending[event.RequestID]
		delete(tr.pending, event.RequestID)
		response.WireBytes = int64(event.EncodedDataLength)
		tr.responses = append(tr.responses, response)
	case *network.EventLoadingFailed:
		if event.ErrorText == networkChanged {
			tr.disturbed = append(tr.disturbed, tr.pending[event.RequestID].URL)
		}
		delete(tr.pending, event.RequestID)
	}
}

// Disturbed returns the URLs of requests that the machine's own network took,
// since the page was opened.
func (tab *Tab) Disturbed() []string {
	tab.traffic.mu.Lock()
	defer tab.traffic.mu.Unlock()
	return slices.Clone(tab.traffic.disturbed)
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
