package api

import (
	"fmt"
	"strings"
	"testing"

	"setu/relay/auth"
)

func TestParseKeys(t *testing.T) {
	one, two := strings.Repeat("a", 32), strings.Repeat("B1._~+/-", 4)+"=="
	keys, err := ParseKeys(auth.Secret("app:" + one + ":publish+read+manage, other-1:" + two + ":read"))
	if err != nil || len(keys) != 2 {
		t.Fatal(err)
	}
	for secret, want := range map[string]string{one: "app [true true true]", two: "other-1 [false true false]"} {
		k := keys.find(secret)
		if k == nil || fmt.Sprint(k.Name, " ", []bool{k.has(Publish), k.has(Read), k.has(Manage)}) != want {
			t.Errorf("%+v, want %s", k, want)
		}
	}
	for _, secret := range []string{"", one[1:], one + "a", strings.ToUpper(one), "app", two[:len(two)-1]} {
		if k := keys.find(secret); k != nil {
			t.Errorf("%q is %s", secret, k.Name)
		}
	}
	for header, want := range map[string]string{"Bearer " + one: one, "bearer  " + one: one, "": "", one: "", "Basic " + one: "", "Bearer": "", "Bearer " + strings.Repeat("x", 513): ""} {
		if got := bearer(header); got != want {
			t.Errorf("%.40q: %q", header, got)
		}
	}
	for text, want := range map[string]string{
		"":                      "not name:secret:rights",
		one:                     "not name:secret:rights",
		"app:" + one:            "not name:secret:rights",
		"app:" + one + ":read,": "key 2: it is not name:secret:rights",
		":" + one + ":read":     "its name has",
		"a b:" + one + ":read":  "its name has",
		"app:short:read":        "has 5 bytes",
		"app:" + strings.Repeat("x", 513) + ":read":      "has 513 bytes",
		"app:" + strings.Repeat("ü", 20) + ":read":       "other characters",
		"app:" + one + ":":                               "rights of app are",
		"app:" + one + ":read+write":                     "rights of app are",
		"app:" + one + ":read,app:" + two + ":read":      "key 2: another one is called app",
		"app:" + one + ":read,other:" + one + ":publish": "key 2: another one has its secret",
	} {
		_, err := ParseKeys(auth.Secret(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), one) || strings.Contains(err.Error(), "short") {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}
