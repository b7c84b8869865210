// Package plot draws how something grows, as SVG.
package plot

import (
	"bytes"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Point is one that was measured.
type Point struct{ X, Y float64 }

// Series is a line through points.
type Series struct {
	Name   string
	Points []Point
}

// Chart is some lines. The horizontal axis is logarithmic if the points reach over two powers of ten; the vertical
// one too, and else it begins at 0.
type Chart struct {
	Title, X, Y string
	Series      []Series
}

// colors can be told apart by everybody (Okabe and Ito), and on light and dark.
var colors = []color.RGBA{{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff}}

// SVG draws the chart.
func (c Chart) SVG() ([]byte, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.Title, c.X, c.Y
	p.Title.Padding = vg.Points(6)
	p.Legend.Top, p.Legend.Left, p.Legend.Padding = true, c.rises(), vg.Points(2)
	p.BackgroundColor = color.White
	p.Add(plotter.NewGrid())
	for i, s := range c.Series {
		if err := addSeries(p, s, i); err != nil {
			return nil, err
		}
	}
	c.scale(p)
	canvas := vgsvg.New(16*vg.Centimeter, 9*vg.Centimeter)
	p.Draw(draw.New(canvas))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// rises reports whether the first line ends above where it begins: there is room for a legend on the left then.
func (c Chart) rises() bool {
	if len(c.Series) == 0 || len(c.Series[0].Points) == 0 {
		return true
	}
	points := c.Series[0].Points
	return points[len(points)-1].Y > points[0].Y
}

func addSeries(p *plot.Plot, s Series, i int) error {
	var points plotter.XYs
	for _, at := range s.Points {
		points = append(points, plotter.XY{X: at.X, Y: at.Y})
	}
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	line.Color, line.Width = colors[i%len(colors)], vg.Points(1.5)
	dots.Color, dots.Shape, dots.Radius = line.Color, draw.CircleGlyph{}, vg.Points(2.5)
	p.Add(line, dots)
	p.Legend.Add(s.Name, line, dots)
	return nil
}

// scale chooses the axes' scales and marks.
func (c Chart) scale(p *plot.Plot) {
	var xs, ys []float64
	for _, s := range c.Series {
		for _, at := range s.Points {
			xs, ys = append(xs, at.X), append(ys, at.Y)
		}
	}
	if wide(xs) {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, decades{}
	}
	if wide(ys) {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, decades{}
	} else {
		p.Y.Min = 0
		p.Y.Max *= 1.3 // room for the legend
	}
}

// wide reports whether values reach over two powers of ten.
func wide(values []float64) bool {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	return low > 0 && high >= 100*low
}

// decades marks powers of ten, and two and five times them without words.
type decades struct{}

func (decades) Ticks(low, high float64) (ticks []plot.Tick) {
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		for _, times := range []float64{1, 2, 5} {
			at := times * math.Pow(10, e)
			if at < low*.999 || at > high*1.001 {
				continue
			}
			mark := plot.Tick{Value: at}
			if times == 1 {
				mark.Label = Number(at)
			}
			ticks = append(ticks, mark)
		}
	}
	return ticks
}

// Number writes a number with a comma between thousands.
func Number(v float64) string {
	if v != math.Trunc(v) || v < 1000 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
