"""What rounds say together."""

import math
import statistics


def percentile(values, percent):
    """Between the two nearest ones, as numpy's default has it; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    at = (len(ordered) - 1) * percent / 100
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def median(values):
    return statistics.median(values)


def ratios(ours, theirs):
    """Ours by theirs, round by round: both of a round met the same machine."""
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} rounds of ours and {len(theirs)} of the peer's cannot be compared")
    return [a / b for a, b in zip(ours, theirs)]


def spread(values):
    """The lowest and the highest round."""
    return [min(values), max(values)]


def significant(value, digits=4):
    """As many digits as a measurement has, for people and files."""
    if value is None or value == 0 or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))
