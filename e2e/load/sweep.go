//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"setu/e2e/load/plot"
)

// sweep is plans that differ in one number, and what is drawn of what they find.
type sweep struct {
	name   string
	x      string // what differs
	points []point
	charts []chart
}

type point struct {
	x    float64
	plan plan
}

// chart is a picture of a sweep.
type chart struct {
	file, title, y string
	lines          []line
}

// line is a figure: its name begins and ends so.
type line struct{ name, target, begins, ends string }

// plotAll runs the sweeps, draws them, and prints what was found.
func plotAll(ctx context.Context, o *options) error {
	if err := os.MkdirAll(o.plot, 0o755); err != nil {
		return err
	}
	var all []result
	for _, s := range o.sweeps {
		found, err := o.runSweep(ctx, s)
		if err != nil {
			return err
		}
		for _, of := range found {
			all = append(all, of...)
		}
		o.progress.done()
		for _, c := range s.charts {
			if err := c.draw(o.plot, s, found); err != nil {
				return fmt.Errorf("%s: %w", c.file, err)
			}
			if err := c.print(os.Stdout, s, found); err != nil {
				return err
			}
		}
	}
	return faultsOf(all)
}

// runSweep returns the results of each point.
func (o *options) runSweep(ctx context.Context, s sweep) (found [][]result, err error) {
	for _, p := range s.points {
		p.plan.name = fmt.Sprintf("%s %s", plot.Number(p.x), s.x)
		var results []result
		for _, t := range o.targets(p.plan) {
			r, err := o.try(ctx, t, p.plan)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", t.name, p.plan.name, err)
			}
			results = append(results, r)
		}
		found = append(found, results)
	}
	return found, nil
}

// value finds a line's figure among the results of one point.
func (l line) value(results []result) (v float64, ok bool) {
	for _, r := range results {
		for _, f := range r.Figures {
			if r.Target == l.target && strings.HasPrefix(f.Name, l.begins) && strings.HasSuffix(f.Name, l.ends) {
				return f.Value, true
			}
		}
	}
	return 0, false
}

func (c chart) draw(directory string, s sweep, found [][]result) error {
	p := plot.Chart{Title: c.title, X: s.x, Y: c.y}
	for _, l := range c.lines {
		series := plot.Series{Name: l.name}
		for i, at := range s.points {
			if v, ok := l.value(found[i]); ok {
				series.Points = append(series.Points, plot.Point{X: at.x, Y: v})
			}
		}
		if len(series.Points) > 0 {
			p.Series = append(p.Series, series)
		}
	}
	svg, err := p.SVG()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(directory, c.file), svg, 0o644)
}

// print prints a chart's figures as a table of Markdown.
func (c chart) print(out io.Writer, s sweep, found [][]result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s: %s\n\n| %s |", c.title, c.y, s.x)
	for _, l := range c.lines {
		fmt.Fprintf(&b, " %s |", l.name)
	}
	b.WriteString("\n|" + strings.Repeat("---|", len(c.lines)+1) + "\n")
	for i, at := range s.points {
		fmt.Fprintf(&b, "| %s |", plot.Number(at.x))
		for _, l := range c.lines {
			text := "–"
			if v, ok := l.value(found[i]); ok {
				text = number(v)
			}
			fmt.Fprintf(&b, " %s |", text)
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}
