package cluster

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/testcontainers/testcontainers-go"
	tcexec "github.com/testcontainers/testcontainers-go/exec"
)

const (
	redisPort  = "6379/tcp"
	configPath = "/redis.conf"
)

// RedisOptions says what Redis is like. The zero value is a plain one that
// keeps nothing over a restart.
type RedisOptions struct {
	Name       string   // in the network; "" means "redis"
	Image      string   // "" means RedisImage()
	AppendOnly bool     // keep every write over a restart
	Config     string   // a redis.conf; the fields below come on top
	User       string   // that relays are given, of Config; "" means default
	Password   string   // that user's; "" means none
	TLS        bool     // TLS alone, by a CA of its own, no client certificates
	Aiven      bool     // as Aiven runs it: TLS, a password, and its disabled commands
	Clock      bool     // StepClock works: only if ClocksCanStep
	ExtraArgs  []string // for the server's command line
}

// RedisImage is $SETU_E2E_REDIS_IMAGE, or redis:7.
func RedisImage() string { return imageFrom("SETU_E2E_REDIS_IMAGE", "redis:7") }

// ValkeyImage is $SETU_E2E_VALKEY_IMAGE, or valkey/valkey:8.
func ValkeyImage() string { return imageFrom("SETU_E2E_VALKEY_IMAGE", "valkey/valkey:8") }

// aivenDisabled is what Aiven for Valkey takes away.
const aivenDisabled = "ACL BGREWRITEAOF BGSAVE CLUSTER COMMAND CONFIG DEBUG FAILOVER LASTSAVE " +
	"MIGRATE MONITOR REPLICAOF SAVE SHUTDOWN SLAVEOF"

// Redis is a Redis, or a Valkey, server.
type Redis struct {
	*Process
	options   RedisOptions
	authority *authority // nil without TLS
}

// StartRedis starts a server and waits until it answers.
func StartRedis(t testing.TB, network *Network, options RedisOptions) *Redis {
	t.Helper()
	if options.Name == "" {
		options.Name = "redis"
	}
	if options.Image == "" {
		options.Image = RedisImage()
	}
	if options.Aiven {
		options.TLS = true
		if options.Password == "" {
			options.Password = "aiven-secret"
		}
	}
	r := &Redis{options: options}
	custom := []testcontainers.ContainerCustomizer{testcontainers.WithCmd(options.args()...)}
	if options.TLS {
		var err error
		if r.authority, err = newAuthority(options.Name); err != nil {
			t.Fatalf("%s: make certificates: %v", options.Name, err)
		}
		custom = append(custom, testcontainers.WithFiles(
			file("/tls/ca.crt", r.authority.caPEM),
			file("/tls/server.crt", r.authority.certPEM),
			file("/tls/server.key", r.authority.keyPEM),
		))
	}
	if options.Clock {
		custom = append(custom, clock(t)...)
	}
	if options.Config != "" {
		custom = append(custom, testcontainers.WithFiles(file(configPath, []byte(options.Config))))
	}
	ready := func(p *Process) func(context.Context) error {
		r.Process = p
		return r.ping
	}
	start(t, network, options.Name, options.Image, redisPort, ready, custom...)
	return r
}

// args is the server's command line.
func (o RedisOptions) args() []string {
	args := []string{"--save", ""}
	if o.Config != "" {
		args = append([]string{configPath}, args...)
	}
	if o.AppendOnly {
		// Every write before its answer: what was acknowledged survives even Kill.
		args = append(args, "--appendonly", "yes", "--appendfsync", "always")
	}
	if o.Password != "" && o.User == "" {
		args = append(args, "--requirepass", o.Password)
	}
	if o.TLS {
		args = append(args, "--port", "0", "--tls-port", "6379", "--tls-auth-clients", "no",
			"--tls-ca-cert-file", "/tls/ca.crt", "--tls-cert-file", "/tls/server.crt", "--tls-key-file", "/tls/server.key")
	}
	if o.Aiven {
		for command := range strings.FieldsSeq(aivenDisabled) {
			args = append(args, "--rename-command", command, "")
		}
	}
	return append(args, o.ExtraArgs...)
}

// The official images run the server as a user of its own, so all may read.
func file(path string, content []byte) testcontainers.ContainerFile {
	return testcontainers.ContainerFile{Reader: bytes.NewReader(content), ContainerFilePath: path, FileMode: 0o644}
}

// URL is where the test reaches it; the same over restarts.
func (r *Redis) URL() string { return r.urlAt(r.Address()) }

// InternalURL is where relays in the network reach it.
func (r *Redis) InternalURL() string { return r.urlAt(net.JoinHostPort(r.name, "6379")) }

func (r *Redis) urlAt(address string) string {
	u := url.URL{Scheme: "redis", Host: address}
	if r.options.TLS {
		u.Scheme = "rediss"
	}
	if r.options.Password != "" {
		u.User = url.UserPassword(cmp.Or(r.options.User, "default"), r.options.Password)
	}
	return u.String()
}

// CAPEM is the certificate authority that its certificate is from; "" without TLS.
func (r *Redis) CAPEM() string {
	if r.authority == nil {
		return ""
	}
	return string(r.authority.caPEM)
}

// TLSConfig trusts that authority; nil without TLS.
func (r *Redis) TLSConfig() *tls.Config {
	if r.authority == nil {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(r.authority.caPEM)
	return &tls.Config{RootCAs: roots, ServerName: r.name}
}

// Wipe restarts it empty, as a one-node plan without a backup does.
func (r *Redis) Wipe() {
	r.t.Helper()
	r.exec("sh", "-c", "rm -rf /data/*")
	// Not Stop: that would give it the time to write its data once more.
	r.Kill()
	r.Start()
}

// Backup copies its data as it is now, for Restore.
func (r *Redis) Backup() {
	r.t.Helper()
	r.exec("sh", "-c", "rm -rf /backup && cp -r /data /backup")
}

// Restore restarts it with the data of the last Backup, as a service does that
// has lost a node: what came after is gone.
func (r *Redis) Restore() {
	r.t.Helper()
	r.exec("sh", "-c", "rm -rf /data/* && cp -r /backup/* /data/")
	r.Kill()
	r.Start()
}

// BlockDump has it fail to save a dump, by a directory that stands where that would.
func (r *Redis) BlockDump() {
	r.t.Helper()
	r.exec("sh", "-c", "rm -rf /data/dump.rdb && mkdir /data/dump.rdb")
}

// UnblockDump undoes BlockDump.
func (r *Redis) UnblockDump() {
	r.t.Helper()
	r.exec("rmdir", "/data/dump.rdb")
}

// CLI runs redis-cli in the container, as the default user, and returns what it prints. It fails
// the test when redis-cli does; an error reply is output like any other.
func (r *Redis) CLI(args ...string) string {
	r.t.Helper()
	command := []string{"redis-cli"}
	if r.options.TLS {
		command = append(command, "--tls", "--cacert", "/tls/ca.crt")
	}
	if r.options.Password != "" && r.options.User == "" {
		command = append(command, "--no-auth-warning", "-a", r.options.Password)
	}
	return r.exec(append(command, args...)...)
}

func (r *Redis) exec(command ...string) (output string) {
	r.t.Helper()
	r.do("exec "+command[0], func(ctx context.Context) error {
		code, stream, err := r.container.Exec(ctx, command, tcexec.Multiplexed())
		if err != nil {
			return err
		}
		printed, err := io.ReadAll(stream)
		if err != nil {
			return err
		}
		output = strings.TrimSpace(string(printed))
		if code != 0 {
			return fmt.Errorf("exit code %d: %s", code, output)
		}
		return nil
	})
	return output
}
