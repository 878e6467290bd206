package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// figure is one line of the report.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Goal is the most that the value may be; null where the figure only tells.
	Goal *float64 `json:"goal"`
	Met  *bool    `json:"met"`
}

type report struct{ figures []figure }

func (r *report) atMost(name string, value float64, unit string, goal float64) {
	met := value <= goal
	r.add(figure{Name: name, Value: value, Unit: unit, Goal: &goal, Met: &met})
}

// judge is atMost where there is a goal and tell where it is 0.
func (r *report) judge(name string, value float64, unit string, goal float64) {
	if goal == 0 {
		r.tell(name, value, unit)
		return
	}
	r.atMost(name, value, unit, goal)
}

func (r *report) tell(name string, value float64, unit string) {
	r.add(figure{Name: name, Value: value, Unit: unit})
}

func (r *report) add(f figure) {
	f.Value = math.Round(f.Value*1000) / 1000
	r.figures = append(r.figures, f)
	fmt.Fprintln(os.Stderr, "  "+f.String())
}

func (f figure) String() string {
	text := fmt.Sprintf("%-62s %10.3f %s", f.Name, f.Value, f.Unit)
	if f.Goal != nil {
		verdict := "met"
		if !*f.Met {
			verdict = "NOT MET"
		}
		text += fmt.Sprintf("   (at most %g: %s)", *f.Goal, verdict)
	}
	return text
}

func (r *report) write(path string) error {
	content, err := json.MarshalIndent(r.figures, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(content, '\n'), 0o644)
}

func (r *report) print(out io.Writer) {
	missed := 0
	for _, f := range r.figures {
		_, _ = fmt.Fprintln(out, f)
		if f.Met != nil && !*f.Met {
			missed++
		}
	}
	_, _ = fmt.Fprintf(out, "%d figures, %d goals missed\n", len(r.figures), missed)
}

// percentile takes the value below which so many of a hundred lie; the nearest rank, so it is one that was measured.
func percentile(values []time.Duration, percent float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(percent/100*float64(len(sorted)))) - 1
	return sorted[max(0, min(rank, len(sorted)-1))]
}
