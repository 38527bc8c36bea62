package leak

import (
	"fmt"
	"slices"
)

// checkSuspects holds the suspects and findings to their rules: ranks in order, the surest first, indexes
// in range, names out of the closed lists, ranges around what they are of.
func (e *Entry) checkSuspects() error {
	order := []string{VerdictLeak, VerdictGrowing, VerdictSuspicious}
	surest := 0
	for i := range e.Suspects {
		s := &e.Suspects[i]
		at := slices.Index(order, s.Verdict)
		switch {
		case s.Rank != i+1:
			return fmt.Errorf("suspect %d has rank %d", i, s.Rank)
		case at < surest:
			return fmt.Errorf("suspect %d is %q, after one that is less sure or of no verdict", i, s.Verdict)
		case s.Confidence <= 0 || s.Confidence > 1:
			return fmt.Errorf("suspect %d: confidence %v", i, s.Confidence)
		case s.Category != nil && !slices.Contains(Categories[:], *s.Category):
			return fmt.Errorf("suspect %d is of category %q", i, *s.Category)
		case s.TIDs == nil || s.Threads == nil || s.Why == nil || s.Lead == nil:
			return fmt.Errorf("suspect %d: a list is null", i)
		case len(s.Why) == 0:
			return fmt.Errorf("suspect %d has no reasons", i)
		case s.SizeClass.Min > s.SizeClass.Max:
			return fmt.Errorf("suspect %d: sizes from %d to %d", i, s.SizeClass.Min, s.SizeClass.Max)
		case s.Blocks && (e.Blocks == nil || s.Outstanding > e.Blocks.Bytes):
			return fmt.Errorf("suspect %d holds %d bytes in blocks that nobody has", i, s.Outstanding)
		case !s.Blocks && s.Outstanding > e.Totals.Outstanding:
			return fmt.Errorf("suspect %d holds %d bytes of %d", i, s.Outstanding, e.Totals.Outstanding)
		case s.Predictions.Kept > s.Predictions.Made || s.Predictions.Kept < 0:
			return fmt.Errorf("suspect %d: %d of %d predictions were kept", i, s.Predictions.Kept, s.Predictions.Made)
		case s.Limit == nil && s.ExhaustedAt != nil:
			return fmt.Errorf("suspect %d exhausts no limit", i)
		}
		surest = at
		if err := s.Growth.check(); err != nil {
			return fmt.Errorf("suspect %d: %w", i, err)
		}
		if a, b, c := s.ExhaustedEarliest, s.ExhaustedAt, s.ExhaustedLatest; a != nil && b != nil && c != nil && (b.Before(*a) || c.Before(*b)) {
			return fmt.Errorf("suspect %d: the end at %v is not between %v and %v", i, b, a, c)
		}
		for _, t := range s.Threads {
			if t < 0 || t >= len(e.Threads) {
				return fmt.Errorf("suspect %d: no thread %d", i, t)
			}
		}
	}
	for i := range e.Series {
		if by := e.Series[i].By; !slices.Contains([]string{"process", "pool", "thread", "stack", "category"}, by) {
			return fmt.Errorf("series %d is by %q", i, by)
		}
	}
	return nil
}

// check returns an error unless the rate lies within its range.
func (g *Growth) check() error {
	if g.Significant && g.PerHour == nil {
		return fmt.Errorf("growth that is significant and unknown")
	}
	if g.PerHour != nil && (g.Low != nil && *g.Low > *g.PerHour || g.High != nil && *g.High < *g.PerHour) {
		return fmt.Errorf("growth %d is not between %d and %d", *g.PerHour, *g.Low, *g.High)
	}
	return nil
}
