//go:build linux

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"

	"setu/e2e/load/tally"
)

// report prints the results, as a table or as JSON.
func report(out io.Writer, o *options, results []result) error {
	if o.smoke { // figures of a moment say nothing
		_, err := fmt.Fprintln(out, "faults:", describe(sum(results)))
		return err
	}
	if o.json == "" {
		return table(out, results)
	}
	text, err := json.MarshalIndent(map[string]any{"processors": runtime.NumCPU(), "go": runtime.Version(), "relays": o.relays,
		"memory": o.memory, "payload": o.payload, "window": o.window.Seconds(), "scale": o.scale, "results": results}, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if o.json == "-" {
		_, err := out.Write(text)
		return err
	}
	return errors.Join(os.WriteFile(o.json, text, 0o644), table(out, results))
}

// row is one figure of all targets and repetitions.
type row struct {
	plan, name string
	values     map[string][]float64 // by target
}

// rows gathers the figures, in the order in which they were found.
func rows(results []result) (out []*row) {
	for _, r := range results {
		for _, f := range r.Figures {
			i := slices.IndexFunc(out, func(o *row) bool { return o.plan == r.Plan && o.name == f.Name })
			if i < 0 {
				i = len(out)
				out = append(out, &row{r.Plan, f.Name, map[string][]float64{}})
			}
			out[i].values[r.Target] = append(out[i].values[r.Target], f.Value)
		}
	}
	// A later repetition may have found what the first did not.
	slices.SortStableFunc(out, func(a, b *row) int { return planAt(results, a.plan) - planAt(results, b.plan) })
	return out
}

func planAt(results []result, name string) int {
	return slices.IndexFunc(results, func(r result) bool { return r.Plan == name })
}

func table(out io.Writer, results []result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "plan\t\t%s\t%s\t× limit\n", theRelays, theLimit)
	for _, r := range rows(results) {
		ratio := ""
		if limit := median(r.values[theLimit]); limit != 0 && len(r.values[theRelays]) > 0 {
			ratio = fmt.Sprintf("%.2f", median(r.values[theRelays])/limit)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.plan, r.name, cell(r.values[theRelays]), cell(r.values[theLimit]), ratio)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	fmt.Fprintln(out, "faults:", describe(sum(results)))
	for _, r := range results {
		if r.Others > .05 {
			fmt.Fprintf(out, "%s, %s, repetition %d: other processes took %.0f %% of the machine; look at ratios, or run it again\n",
				r.Target, r.Plan, r.Rep, r.Others*100)
		}
	}
	return nil
}

// cell writes the median of repetitions, and their range.
func cell(values []float64) string {
	if len(values) == 0 {
		return "–"
	}
	low, high := slices.Min(values), slices.Max(values)
	if low == high {
		return number(low)
	}
	return number(median(values)) + " [" + number(low) + "–" + number(high) + "]"
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}

// number writes three digits, or all of a whole number.
func number(v float64) string {
	switch {
	case v >= 100 || v == 0:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func sum(results []result) (f tally.Faults) {
	for _, r := range results {
		f.Add(r.Faults)
	}
	return f
}

func describe(f tally.Faults) string {
	return fmt.Sprintf("%d lost, %d twice, %d late, %d members disagreed, %d misrouted, %d refused, %d closed, %d unexpected",
		f.Lost, f.Duplicate, f.Late, f.Disagreed, f.Misrouted, f.Refused, f.Closed, f.Unexpected)
}

// faultsOf returns an error if there were any.
func faultsOf(results []result) error {
	for _, r := range results {
		if r.Faults.Any() {
			return fmt.Errorf("%s, %s: %s: %s", r.Target, r.Plan, describe(r.Faults), cmp.Or(r.Why, "why is not known"))
		}
	}
	return nil
}
