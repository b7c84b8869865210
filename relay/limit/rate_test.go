package limit

import (
	"testing"
	"time"
)

func TestRateText(t *testing.T) {
	for _, test := range []struct {
		text string
		want Rate
		back string // if it is another text
	}{
		{"50/s", Rate{50, time.Second, 50}, ""},
		{"50/s:100", Rate{50, time.Second, 100}, ""},
		{" 50/s:50 ", Rate{50, time.Second, 50}, "50/s"},
		{"30/m", Rate{30, time.Minute, 1}, ""},
		{"30/m:5", Rate{30, time.Minute, 5}, ""},
		{"1000000000/h", Rate{1_000_000_000, time.Hour, 277777}, ""},
		{"off", Rate{}, ""},
	} {
		var r Rate
		if err := r.UnmarshalText([]byte(test.text)); err != nil || r != test.want {
			t.Errorf("%q: %+v, %v", test.text, r, err)
		}
		back := test.back
		if back == "" {
			back = test.text
		}
		if got := r.String(); got != back {
			t.Errorf("%q is written as %q", test.text, got)
		}
	}
}

func TestBadRates(t *testing.T) {
	for text, want := range map[string]error{
		"": errForm, "50": errForm, "50/d": errForm, "50/": errForm, "Off": errForm, "0": errForm,
		"0/s": errNumber, "-1/s": errNumber, "1.5/s": errNumber, "/s": errNumber, "1000000001/s": errNumber,
		"50/s:": errNumber, "50/s:0": errNumber, "50/s:x": errNumber, "50/s:1:1": errNumber, "+5/s": errNumber,
	} {
		r := Rate{1, time.Second, 1}
		if err := r.UnmarshalText([]byte(text)); err != want {
			t.Errorf("%q: %v", text, err)
		}
		if (r != Rate{1, time.Second, 1}) {
			t.Errorf("%q has left %v", text, r)
		}
	}
}

func FuzzRate(f *testing.F) {
	for _, s := range []string{"50/s", "50/s:100", "off", "1/h", "1/m:1", "00/s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r, again Rate
		if r.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(r.String())); err != nil || again != r {
			t.Fatalf("%q is %+v, and %q is %+v: %v", text, r, r.String(), again, err)
		}
		if !r.IsOff() && (r.PerSecond() <= 0 || r.Burst < 1) {
			t.Fatalf("%q is %+v", text, r)
		}
	})
}
