package cluster

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// ping asks as a client would, over TLS and with the password where there are:
// a server that still loads its data is not ready.
func (r *Redis) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := r.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	request := "PING\r\n"
	if r.options.Password != "" && r.options.User == "" {
		request = "AUTH " + r.options.Password + "\r\n" + request
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	answers := bufio.NewScanner(conn)
	for range strings.Count(request, "\n") {
		if !answers.Scan() {
			return fmt.Errorf("PING: no answer: %w", cmp.Or(answers.Err(), io.ErrUnexpectedEOF))
		}
	}
	if answer := answers.Text(); answer != "+PONG" {
		return fmt.Errorf("PING: %s", answer)
	}
	return nil
}

func (r *Redis) dial(ctx context.Context) (net.Conn, error) {
	if r.options.TLS {
		dialer := tls.Dialer{Config: r.TLSConfig()}
		return dialer.DialContext(ctx, "tcp", r.Address())
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", r.Address())
}
