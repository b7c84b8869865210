package wiretest

import "testing"

// What was published is taken out wherever it stands, and however it is cut.
func TestDropPublished(t *testing.T) {
	const push, big = published + "$1\r\na\r\n$5\r\nhello\r\n", published + "$1\r\na\r\n$11\r\n>3\r\n$7\r\nx\r\n\r\n"
	const answers, subscribed = "+PONG\r\n", ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
	for _, c := range []struct{ sent, want string }{
		{answers, answers}, {push, ""}, {push + push, ""}, {answers + push + subscribed + big + answers, answers + subscribed + answers}, {big, ""},
	} {
		if got, begun := dropPublished([]byte(c.sent)); string(got) != c.want || len(begun) > 0 {
			t.Errorf("%q: %q, with %q begun, not %q", c.sent, got, begun, c.want)
		}
	}
	for cut := len(published); cut < len(push); cut++ {
		got, begun := dropPublished([]byte(answers + push[:cut]))
		more, left := dropPublished(append(begun, (push[cut:] + answers)...))
		if string(got) != answers || string(more) != answers || len(left) > 0 {
			t.Errorf("cut at %d: %q, then %q, and %q is left", cut, got, more, left)
		}
	}
}
