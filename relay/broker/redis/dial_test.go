package redis

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"
)

// A Redis behind TLS is reached if its certificate holds, and one that says nothing is given up in time.
func TestDialTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: web.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	d := &net.Dialer{Timeout: time.Minute}
	c, err := dialRedis(t.Context(), l.Addr().String(), d, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	_, err1 := c.Write([]byte("hello"))
	_, err2 := io.ReadFull(c, b)
	if string(b) != "hello" {
		t.Errorf("got %q, %v, %v", b, err1, err2)
	}
	_ = c.Close()
	if _, err := dialRedis(t.Context(), l.Addr().String(), d, &tls.Config{ServerName: "127.0.0.1"}); err == nil {
		t.Error("a certificate of nobody's was taken")
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if _, err := dialRedis(t.Context(), silent.Addr().String(), &net.Dialer{Timeout: 50 * time.Millisecond}, &tls.Config{ServerName: "127.0.0.1"}); err == nil {
		t.Error("a server that says nothing was taken for one")
	}
}
