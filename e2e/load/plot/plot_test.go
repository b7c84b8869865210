package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestSVG(t *testing.T) {
	c := Chart{"Title", "members", "µs", []Series{
		{"relays", []Point{{10, 3}, {1000, 5}, {15000, 8}}},
		{"limit", []Point{{10, 1}, {1000, 2}}},
	}}
	for _, high := range []float64{8, 8000} { // both axes: straight, and logarithmic
		c.Series[0].Points[2].Y = high
		b, err := c.SVG()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"<svg", "Title", "members", "relays", "limit", ">1,000<"} {
			if !strings.Contains(string(b), want) {
				t.Errorf("there is no %s in it", want)
			}
		}
		if len(b) > 40<<10 {
			t.Errorf("%d bytes", len(b))
		}
		d := xml.NewDecoder(strings.NewReader(string(b)))
		for err == nil {
			_, err = d.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0.5: "0.5", 10: "10", 999: "999", 1000: "1,000", 100000: "100,000", 1234567: "1,234,567"} {
		if got := Number(v); got != want {
			t.Errorf("%v is %s", v, got)
		}
	}
}
