package policy

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Range is a run of IPv4 addresses, both ends included.
type Range struct{ From, To netip.Addr }

// Contains says whether the address lies in the range.
func (r Range) Contains(a netip.Addr) bool {
	return r.From.Compare(a) <= 0 && a.Compare(r.To) <= 0
}

func one(a netip.Addr) Range { return Range{a, a} }

// fromCIDR is the addresses of an IPv4 network; ok is false for anything else, IPv6 included.
func fromCIDR(cidr string) (r Range, ok bool) {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil || !prefix.Addr().Is4() {
		return Range{}, false
	}
	prefix = prefix.Masked()
	last := number(prefix.Addr()) | uint32(1<<(32-prefix.Bits())-1)
	return Range{prefix.Addr(), address(last)}, true
}

// minus takes addresses out of a range and returns what is left, in order.
func (r Range) minus(holes []Range) []Range {
	left := []Range{r}
	for _, hole := range holes {
		var next []Range
		for _, part := range left {
			next = append(next, part.without(hole)...)
		}
		left = next
	}
	return left
}

func (r Range) without(hole Range) []Range {
	if hole.To.Less(r.From) || r.To.Less(hole.From) {
		return []Range{r}
	}
	var left []Range
	if r.From.Less(hole.From) {
		left = append(left, Range{r.From, hole.From.Prev()})
	}
	if hole.To.Less(r.To) {
		left = append(left, Range{hole.To.Next(), r.To})
	}
	return left
}

// merged sorts ranges and joins those that overlap or touch: the kernel's sets want them disjoint.
func merged(ranges []Range) []Range {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b Range) int { return a.From.Compare(b.From) })
	joined := []Range{}
	for _, r := range sorted {
		last := len(joined) - 1
		if last >= 0 && (r.From.Compare(joined[last].To) <= 0 || r.From == joined[last].To.Next()) {
			if joined[last].To.Less(r.To) {
				joined[last].To = r.To
			}
			continue
		}
		joined = append(joined, r)
	}
	return joined
}

func number(a netip.Addr) uint32 {
	bytes := a.As4()
	return binary.BigEndian.Uint32(bytes[:])
}

func address(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}
