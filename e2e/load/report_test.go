//go:build linux

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"setu/e2e/load/tally"
)

var found = []result{
	{Target: theRelays, Plan: "small", Rep: 1, Figures: []figure{{"CPU", 30}, {"bytes", 250}}},
	{Target: theLimit, Plan: "small", Rep: 1, Figures: []figure{{"CPU", 10}}},
	{Target: theRelays, Plan: "large", Rep: 1, Figures: []figure{{"CPU", 8}}},
	{Target: theRelays, Plan: "small", Rep: 2, Figures: []figure{{"CPU", 20}, {"bytes", 250}}, Others: .2},
	{Target: theRelays, Plan: "small", Rep: 3, Figures: []figure{{"CPU", 50}, {"bytes", 250}}},
}

func TestTable(t *testing.T) {
	var out strings.Builder
	if err := table(&out, found); err != nil {
		t.Fatal(err)
	}
	const want = `plan          relays            limit  × limit
small  CPU    30.0 [20.0–50.0]  10.0   3.00
small  bytes  250               –      
large  CPU    8.00              –      

faults: 0 lost, 0 twice, 0 late, 0 members disagreed, 0 misrouted, 0 refused, 0 closed, 0 unexpected
relays, small, repetition 2: other processes took 20 % of the machine; look at ratios, or run it again
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", &out, want)
	}
}

func TestJSON(t *testing.T) {
	var out strings.Builder
	if err := report(&out, &options{json: "-", relays: 2}, found); err != nil {
		t.Fatal(err)
	}
	var back struct{ Results []result }
	if err := json.Unmarshal([]byte(out.String()), &back); err != nil || len(back.Results) != len(found) || back.Results[0].Figures[0] != found[0].Figures[0] {
		t.Errorf("%v: %s", err, &out)
	}
}

// One fault among all results is an error, and so an exit status of 1, which says what and where.
func TestFaults(t *testing.T) {
	if err := faultsOf(found); err != nil {
		t.Error(err)
	}
	with := append(found[:len(found):len(found)], result{Target: theRelays, Plan: "jitter", Faults: tally.Faults{Lost: 3}, Why: "3 are missing"})
	err := faultsOf(with)
	if err == nil || !strings.Contains(err.Error(), "relays, jitter: 3 lost") || !strings.Contains(err.Error(), "3 are missing") {
		t.Error(err)
	}
}
