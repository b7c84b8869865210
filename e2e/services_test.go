package e2e_test

import (
	"strings"
	"testing"

	"setu/e2e/cluster"
)

// Setu takes the service that there is: TLS by an authority of its own, a password, and no command
// that Aiven has disabled. Plain Redis is in all the other stories.
func TestServices(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]cluster.RedisOptions{
		"redis as aiven runs it":  {Aiven: true},
		"valkey as aiven runs it": {Image: cluster.ValkeyImage(), Aiven: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFleet(t, options, nil)
			if answer := f.redis.CLI("CONFIG", "GET", "*"); !strings.Contains(answer, "unknown command") {
				t.Errorf("CONFIG answers %q, which Aiven has disabled", answer)
			}
			stranger := cluster.StartRelay(t, f.network, cluster.RelayOptions{Name: "stranger", Redis: f.redis, Unready: true,
				Env: map[string]string{"REDIS_CA": ""}})
			asha, ben := f.join("asha", f.dublin, f.tokyo), f.join("ben", f.tokyo)
			awaitPresence(f, asha, "presence 2 +ben")
			talking := f.talk(asha, ben)
			f.more(30, asha, ben)
			asha.Prefer(f.tokyo.WS())
			asha.Cut()
			asha.AwaitRelay("tokyo")
			f.more(30, asha, ben)
			talking.end()
			if verdict := f.conclude(asha, ben); verdict.Recovered != 1 || verdict.Resets > 0 {
				t.Errorf("want one recovered: %s", verdict)
			}
			if status := stranger.Status("/readyz"); status != 503 || !strings.Contains(stranger.Logs(), "certificate") {
				t.Errorf("a relay that does not know the authority answers %d, and says %s", status, stranger.Logs())
			}
			for _, relay := range []*cluster.Relay{f.dublin, f.tokyo} {
				logs := relay.Logs()
				if strings.Contains(logs, "level=ERROR") || strings.Count(logs, "level=WARN") != 1 || !strings.Contains(logs, "AUTH is open") {
					t.Errorf("%s says %s, not only that it is open", relay.Name(), logs)
				}
			}
		})
	}
}
