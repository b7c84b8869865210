package engine

// retryDetector notices requests of polling that a browser has sent again by itself, without a word
// to the client, since a connection that it had kept was dead. The stock clients write something new
// into each request's t: what comes again is a retry.
type retryDetector struct {
	get, post string // the last t of each
	varies    bool   // the client does write new ones
}

// isRetry reports whether a request with this t has come before. last is d.get or d.post.
func (d *retryDetector) isRetry(last *string, t string) bool {
	again := d.varies && t != "" && t == *last
	for _, other := range []string{d.get, d.post} {
		d.varies = d.varies || other != "" && t != "" && other != t
	}
	*last = t
	return again
}
