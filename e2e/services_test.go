package e2e_test

import (
	"strings"
	"testing"

	"setu/e2e/cluster"
)

// Setu takes the Redis that there is: as it comes, as Aiven runs it, and Valkey.
func TestServices(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]cluster.RedisOptions{
		"redis as aiven runs it":  {Aiven: true},
		"valkey":                  {Image: cluster.ValkeyImage()},
		"valkey as aiven runs it": {Image: cluster.ValkeyImage(), Aiven: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := startFleet(t, options, nil)
			asha, ben := f.join("asha", f.dublin, f.tokyo), f.join("ben", f.tokyo)
			awaitPresence(f, asha, "presence 2 +ben")
			talking := f.talk(asha, ben)
			f.more(30, asha, ben)
			asha.Prefer(f.tokyo.WS())
			asha.Cut()
			asha.AwaitRelay("tokyo")
			f.more(30, asha, ben)
			talking.end()
			if verdict := f.settle(asha, ben); verdict.Recovered != 1 || verdict.Resets > 0 {
				t.Errorf("want one recovered: %s", verdict)
			}
			for _, relay := range []*cluster.Relay{f.dublin, f.tokyo} {
				if logs := relay.Logs(); strings.Contains(logs, "level=ERROR") || strings.Contains(logs, "level=WARN") {
					t.Errorf("%s says %s", relay.Name(), logs)
				}
			}
		})
	}
}
