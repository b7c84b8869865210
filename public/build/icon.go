package main

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
)

// The home screens of some systems accept no SVG, so the icon is drawn here once more, on the same
// grid of 32 by 32 as icon.svg.

type point struct{ x, y float64 }

type stroke struct {
	points []point
	width  float64
}

var (
	ground = color.NRGBA{R: 0x0b, G: 0x6b, B: 0x72, A: 0xff}
	ink    = color.NRGBA{R: 0xff, G: 0xff, B: 0xff, A: 0xff}
)

// bridge returns a suspension bridge: the deck, two towers and the cable.
func bridge() []stroke {
	return []stroke{
		{[]point{{4, 20.5}, {28, 20.5}}, 2},
		{[]point{{10, 8.5}, {10, 24.5}}, 2},
		{[]point{{22, 8.5}, {22, 24.5}}, 2},
		{curve(point{10, 9}, point{16, 23}, point{22, 9}), 1.5},
		{curve(point{10, 9}, point{8, 15}, point{4, 17.5}), 1.5},
		{curve(point{22, 9}, point{24, 15}, point{28, 17.5}), 1.5},
	}
}

// curve returns points on a quadratic Bézier curve.
func curve(a, b, c point) []point {
	const steps = 24
	points := make([]point, 0, steps+1)
	for i := range steps + 1 {
		t := float64(i) / steps
		u := 1 - t
		points = append(points, point{
			u*u*a.x + 2*u*t*b.x + t*t*c.x,
			u*u*a.y + 2*u*t*b.y + t*t*c.y,
		})
	}
	return points
}

// drawIcon returns the icon as a PNG of size by size pixels. A maskable one fills the whole square,
// and its drawing stays within the middle that no mask cuts off.
func drawIcon(size int, maskable bool) []byte {
	scale, corner := 1.0, 7.0
	if maskable {
		scale, corner = 0.72, 0
	}
	strokes := bridge()
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			img.SetNRGBA(x, y, pixel(x, y, size, scale, corner, strokes))
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		panic(err) // cannot happen: a buffer accepts all writes
	}
	return out.Bytes()
}

// pixel returns the average of a few samples, for smooth edges.
func pixel(x, y, size int, scale, corner float64, strokes []stroke) color.NRGBA {
	const samples = 3
	inside, drawn := 0, 0
	for sy := range samples {
		for sx := range samples {
			p := point{
				(float64(x) + (float64(sx)+0.5)/samples) * 32 / float64(size),
				(float64(y) + (float64(sy)+0.5)/samples) * 32 / float64(size),
			}
			if !inSquare(p, corner) {
				continue
			}
			inside++
			if onStroke(point{16 + (p.x-16)/scale, 16 + (p.y-16)/scale}, strokes) {
				drawn++
			}
		}
	}
	if inside == 0 {
		return color.NRGBA{}
	}
	part := float64(drawn) / float64(inside)
	blend := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + (float64(b)-float64(a))*part)) }
	return color.NRGBA{
		R: blend(ground.R, ink.R), G: blend(ground.G, ink.G), B: blend(ground.B, ink.B),
		A: uint8(255 * inside / (samples * samples)),
	}
}

func inSquare(p point, corner float64) bool {
	dx := max(corner-p.x, p.x-(32-corner), 0)
	dy := max(corner-p.y, p.y-(32-corner), 0)
	return math.Hypot(dx, dy) <= corner || dx == 0 || dy == 0
}

func onStroke(p point, strokes []stroke) bool {
	for _, s := range strokes {
		for i := 1; i < len(s.points); i++ {
			if distance(p, s.points[i-1], s.points[i]) <= s.width/2 {
				return true
			}
		}
	}
	return false
}

// distance returns the distance from p to the segment from a to b.
func distance(p, a, b point) float64 {
	dx, dy := b.x-a.x, b.y-a.y
	t := 0.0
	if length := dx*dx + dy*dy; length > 0 {
		t = min(max(((p.x-a.x)*dx+(p.y-a.y)*dy)/length, 0), 1)
	}
	return math.Hypot(p.x-a.x-t*dx, p.y-a.y-t*dy)
}
