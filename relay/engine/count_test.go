package engine

import (
	"testing"

	"setu/relay/metrics"
)

func TestClosesAreToldApart(t *testing.T) {
	for _, tt := range []struct {
		code   int
		reason string
		want   metrics.Close
	}{
		{closeNormal, "", metrics.CloseClient},
		{closeNormal, connectionLost, metrics.CloseTransport},
		{closeNormal, Replaced, metrics.CloseReplaced},
		{closeNormal, ComeBack, metrics.CloseComeBack},
		{closeNormal, "for something else", metrics.CloseServer},
		{closeGone, noPong, metrics.ClosePingTimeout},
		{closeGone, noConnect, metrics.CloseConnectTimeout},
		{closeGone, errDropped.Error(), metrics.CloseTransport},
		{closeGone, errRetry.Error(), metrics.CloseTransport},
		{closeProtocol, errPing.Error(), metrics.CloseProtocol},
		{closeTooLarge, (&TooLargeError{"a POST"}).Error(), metrics.CloseTooLarge},
		{closeRestart, "this relay restarts", metrics.CloseDrain},
		{closeSlow, "too slow", metrics.CloseSlow},
		{closePolicy, excessReason, metrics.CloseRateLimited},
		{1011, "of a code that is not known here", metrics.CloseServer},
	} {
		if got := closedBy(tt.code, tt.reason); got != tt.want {
			t.Errorf("%d %q: %s, want %s", tt.code, tt.reason, got, tt.want)
		}
	}
}
