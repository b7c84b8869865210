package command

import (
	"strings"
	"testing"
	"time"

	"setu/relay/broker"
)

func TestRevokeArguments(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_001)
	month := now.Add(720 * time.Hour).UnixMilli()
	for line, want := range map[string]broker.Revocation{
		"--user u1":                                          {User: "u1", Until: month},
		"-jti j --ttl 1h":                                    {Token: "j", Until: now.Add(time.Hour).UnixMilli()},
		"--session=iN8gjPQYz-_0aBcD":                         {Session: "iN8gjPQYz-_0aBcD", Until: month},
		"--user ~iN8gjPQYz-_0aBcD":                           {User: "~iN8gjPQYz-_0aBcD", Until: month},
		"--user u --reauth":                                  {User: "u", Until: month, Reauth: true, IssuedBefore: 1_800_000_001_000},
		"--jti j --reauth --issued-before 1000":              {Token: "j", Until: month, Reauth: true, IssuedBefore: 1_000_000},
		"--user u --issued-before 1000":                      {User: "u", Until: month, IssuedBefore: 1_000_000},
		"--user u --issued-before 2026-01-31T12:00:00+01:00": {User: "u", Until: month, IssuedBefore: 1769857200_000},
	} {
		if got, err := revocation(strings.Fields(line), now, 720*time.Hour); got != want || err != nil {
			t.Errorf("%s: %+v, %v", line, got, err)
		}
	}
	for _, line := range []string{"", "--user", "--user a --jti b", "--user a more", "--user a --issued-before yesterday",
		"--user a --issued-before -5", "--user a --ttl 0s", "--user a --ttl week", "--nobody", "--user " + strings.Repeat("a", 129), "--user " + strings.Repeat("a", 300),
		"--jti " + strings.Repeat("a", 129), "--user ~asha", "--user ~" + strings.Repeat("a", 17), "--user a\x7f", "--jti a\xff", "--session s",
		"--session " + strings.Repeat("a", 26), "--session iN8gjPQYz-_0aBc.node"} {
		if _, err := revocation(strings.Fields(line), now, 720*time.Hour); err == nil || !strings.Contains(err.Error(), "setu revoke --user ID |") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40s: %v", line, err)
		}
	}
}
