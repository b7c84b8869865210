package attendance

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time {
	return began.Add(time.Duration(seconds * float64(time.Second)))
}

// visit is one from a second to another; to 0: it stands.
func visit(from, to float64) Visit {
	v := Visit{Dialed: at(from), From: at(from)}
	if to > 0 {
		v.To = at(to)
	}
	return v
}

func told(id string, there bool, seconds float64, fence uint64) Told {
	return Told{Subject: "ann", There: there, ID: id, At: at(seconds), Fence: fence}
}

// What was planted is found, and nothing else.
func TestJudge(t *testing.T) {
	rules := Rules{Grace: time.Second, Lease: time.Second}
	twoVisits := []Visit{visit(0, 10), visit(34, 64)}
	all := []Told{told("a", true, 0, 1), told("b", false, 10.5, 2), told("c", true, 34, 3), told("d", false, 65, 4)}
	for name, c := range map[string]struct {
		visits []Visit
		told   []Told
		fault  string
		v      Verdict
	}{
		"whole":           {twoVisits, all, "", Verdict{Told: 4, Edges: 4}},
		"silence":         {[]Visit{visit(0, 10), visit(12, 60)}, []Told{all[0], all[3]}, "", Verdict{Told: 2, Edges: 3}},
		"it stands":       {[]Visit{visit(0, 0)}, all[:1], "", Verdict{Told: 1}},
		"no time to tell": {[]Visit{visit(0, 10), visit(34, 34.1)}, all[:2], "", Verdict{Told: 2, Edges: 3}},
		"first missing":   {[]Visit{visit(0, 10), visit(34, 64)}, all[2:], "online was not told", Verdict{}},
		"nobody":          {nil, nil, "", Verdict{}},
		"doubled":         {twoVisits, []Told{all[0], all[1], all[1], all[2], all[3], all[0]}, "", Verdict{Told: 4, Edges: 4, Doubled: 2}},
		"offline missing": {twoVisits, []Told{all[0], all[3]}, "offline was not told", Verdict{}},
		"both missing":    {[]Visit{visit(0, 10), visit(30, 0)}, all[:1], "offline was not told", Verdict{}},
		"online missing":  {twoVisits, []Told{all[0], all[1], all[3]}, "online was not told", Verdict{}},
		"the end missing": {twoVisits, all[:3], "was last told: true", Verdict{}},
		"never told":      {[]Visit{visit(0, 0)}, nil, "was last told: false", Verdict{}},
		"fence falls":     {twoVisits, []Told{all[0], all[2], all[1], all[3]}, "the fence falls from 3 to 2", Verdict{}},
		"anew":            {[]Visit{visit(0, 0)}, []Told{all[0], told("x", true, 5, 5)}, "told anew", Verdict{}},
		"changed":         {twoVisits, []Told{all[0], all[1], told("b", false, 10.5, 9), all[2], all[3]}, "came again as", Verdict{}},
		"flapped":         {[]Visit{visit(0, 60)}, []Told{all[0], told("x", false, 20, 2), told("y", true, 21, 3), all[3]}, "in a visit", Verdict{}},
		"begins offline":  {[]Visit{visit(0, 10)}, all[1:2], "begins with being gone", Verdict{}},
	} {
		v := rules.Judge("ann", c.visits, c.told)
		faults := strings.Join(v.Faults, "; ")
		if c.fault == "" && (faults != "" || v.Told != c.v.Told || v.Doubled != c.v.Doubled || v.Edges != c.v.Edges) || !strings.Contains(faults, c.fault) {
			t.Errorf("%s: %s: %s", name, &v, faults)
		}
	}
	lossy := Rules{Grace: time.Second, Lease: time.Second, Lossy: true}
	if v := lossy.Judge("ann", []Visit{visit(0, 0)}, []Told{all[0], told("x", true, 5, 5)}); v.Anew != 1 || len(v.Faults) > 0 {
		t.Errorf("told anew after a loss: %s, %q", &v, v.Faults)
	}
	out := Rules{Grace: time.Second, Lease: time.Second, Outages: []Outage{{at(9), at(14)}}}
	if v := out.Judge("ann", twoVisits, []Told{all[0], all[3]}); len(v.Faults) == 0 {
		t.Error("24 s are long enough, with an outage of 5 s")
	}
	if v := out.Judge("ann", []Visit{visit(0, 10), visit(20, 60)}, []Told{all[0], all[3]}); len(v.Faults) > 0 {
		t.Errorf("10 s are not, with an outage of 5 s: %q", v.Faults)
	}
}
