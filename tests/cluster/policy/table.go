package policy

import (
	"fmt"
	"math"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// tableName is the engine's own table of the family inet; nobody else writes to it.
const tableName = "alcazar-policy"

// Table puts rules into the kernel. Each Apply replaces the whole table in one transaction: a packet sees the old rules or the new ones.
//
// What the chains do, in the hooks `forward` (pod to pod, pod to the outside and back) and `input` (pod to the host, so also to the API server), after kube-proxy has replaced Service addresses:
//   - an answer to a connection that was let through passes, and so does an ICMP error about it;
//   - every other packet is judged, not only the first of a connection. So a connection that a new policy forbids is cut at its next packet from the side that opened it;
//   - what the host sends to pods passes, as Kubernetes wants it for probes: it never meets these hooks;
//   - IPv6 on the bridge is dropped: the cluster has none, and policies for IPv4 would not stop link-local addresses.
type Table struct {
	bridge  string
	options []nftables.ConnOption
}

// NewTable is for pods on the bridge of that name.
func NewTable(bridge string, options ...nftables.ConnOption) *Table {
	// One message a rule: the kernel's answers to a large transaction want more than the default buffer.
	buffers := nftables.WithSockOptions(func(conn *netlink.Conn) error {
		if err := conn.SetReadBuffer(8 << 20); err != nil {
			return err
		}
		return conn.SetWriteBuffer(8 << 20)
	})
	return &Table{bridge: bridge, options: append(options, buffers)}
}

// Apply enforces the rules from now on.
func (t *Table) Apply(rules Rules) error {
	b, err := t.begin()
	if err != nil {
		return err
	}
	// Deleting wants the table to be there, so it is made first; after this the transaction holds an empty one.
	b.conn.AddTable(b.table)
	b.conn.DelTable(b.table)
	b.conn.AddTable(b.table)
	b.pods(rules)
	b.hooks(t.bridge)
	if b.err != nil {
		return b.err
	}
	if err := b.conn.Flush(); err != nil {
		return fmt.Errorf("the kernel refused the rules: %w", err)
	}
	return nil
}

// Remove takes the table away, if it is there: nothing is enforced any more.
func (t *Table) Remove() error {
	b, err := t.begin()
	if err != nil {
		return err
	}
	b.conn.AddTable(b.table)
	b.conn.DelTable(b.table)
	return b.conn.Flush()
}

func (t *Table) begin() (*builder, error) {
	conn, err := nftables.New(t.options...)
	if err != nil {
		return nil, fmt.Errorf("failed to talk to the packet filter: %w", err)
	}
	return &builder{
		conn:  conn,
		table: &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet},
		peers: map[string]*nftables.Set{},
	}, nil
}

// builder fills one transaction.
type builder struct {
	conn    *nftables.Conn
	table   *nftables.Table
	ingress *nftables.Set
	egress  *nftables.Set
	// peers is the sets of addresses made so far, by content: rules of many pods share them.
	peers map[string]*nftables.Set
	err   error
}

// Offsets in the IPv4 header.
const (
	sourceOffset      = 12
	destinationOffset = 16
)

// pods makes a chain for each pod and direction that is isolated, and the two maps that lead to them.
func (b *builder) pods(rules Rules) {
	var ingress, egress []nftables.SetElement
	for _, pod := range rules.Pods {
		if pod.Ingress != nil {
			ingress = append(ingress, b.chain("in-", pod, pod.Ingress, sourceOffset))
		}
		if pod.Egress != nil {
			egress = append(egress, b.chain("out-", pod, pod.Egress, destinationOffset))
		}
	}
	b.ingress = b.set("ingress", &nftables.Set{IsMap: true, DataType: nftables.TypeVerdict}, ingress)
	b.egress = b.set("egress", &nftables.Set{IsMap: true, DataType: nftables.TypeVerdict}, egress)
}

// chain lets through what the filter allows, by going back to the hook, and drops the rest. It returns the element that leads to it.
func (b *builder) chain(prefix string, pod PodRules, filter *Filter, peerOffset uint32) nftables.SetElement {
	chain := b.conn.AddChain(&nftables.Chain{Name: prefix + pod.Address.String(), Table: b.table})
	itself := address4(peerOffset, pod.Address)
	b.rule(chain, itself, verdict(expr.VerdictAccept))
	for _, allow := range filter.Allow {
		b.rule(chain, protocolAndPorts(allow), b.fromPeers(peerOffset, allow.Peers), verdict(expr.VerdictReturn))
	}
	b.rule(chain, []expr.Any{&expr.Counter{}}, verdict(expr.VerdictDrop))
	key := pod.Address.As4()
	return nftables.SetElement{Key: key[:], VerdictData: &expr.Verdict{Kind: expr.VerdictJump, Chain: chain.Name}}
}

func (b *builder) hooks(bridge string) {
	accept := nftables.ChainPolicyAccept
	// Before the chains of iptables, so that their `accept` cannot come first.
	priority := nftables.ChainPriorityRef(*nftables.ChainPriorityFilter - 1)
	hook := func(name string, at *nftables.ChainHook) *nftables.Chain {
		return b.conn.AddChain(&nftables.Chain{Name: name, Table: b.table, Type: nftables.ChainTypeFilter, Hooknum: at, Priority: priority, Policy: &accept})
	}
	forward := hook("forward", nftables.ChainHookForward)
	input := hook("input", nftables.ChainHookInput)
	output := hook("output", nftables.ChainHookOutput)
	for _, chain := range []*nftables.Chain{forward, input} {
		b.rule(chain, family(unix.NFPROTO_IPV6), device(expr.MetaKeyIIFNAME, bridge), verdict(expr.VerdictDrop))
	}
	for _, chain := range []*nftables.Chain{forward, output} {
		b.rule(chain, family(unix.NFPROTO_IPV6), device(expr.MetaKeyOIFNAME, bridge), verdict(expr.VerdictDrop))
	}
	for _, chain := range []*nftables.Chain{forward, input} {
		b.rule(chain, answer(), verdict(expr.VerdictAccept))
		b.rule(chain, state(expr.CtStateBitRELATED), verdict(expr.VerdictAccept))
		b.rule(chain, family(unix.NFPROTO_IPV4), through(sourceOffset, b.egress))
	}
	b.rule(forward, family(unix.NFPROTO_IPV4), through(destinationOffset, b.ingress))
}

func (b *builder) rule(chain *nftables.Chain, parts ...[]expr.Any) {
	var all []expr.Any
	for _, part := range parts {
		all = append(all, part...)
	}
	b.conn.AddRule(&nftables.Rule{Table: b.table, Chain: chain, Exprs: all})
}

// elementsAtOnce keeps a message below the 64 KiB that one netlink attribute can hold.
const elementsAtOnce = 500

func (b *builder) set(name string, set *nftables.Set, elements []nftables.SetElement) *nftables.Set {
	set.Table, set.Name, set.KeyType = b.table, name, nftables.TypeIPAddr
	set.KeyByteOrder = binaryutil.BigEndian
	err := b.conn.AddSet(set, nil)
	for len(elements) > 0 && err == nil {
		n := min(len(elements), elementsAtOnce)
		err = b.conn.SetAddElements(set, elements[:n])
		elements = elements[n:]
	}
	if err != nil && b.err == nil {
		b.err = fmt.Errorf("failed to write the set %s: %w", name, err)
	}
	return set
}

// fromPeers matches an address of the ranges; nil ranges match everybody.
func (b *builder) fromPeers(offset uint32, ranges []Range) []expr.Any {
	if ranges == nil {
		return nil
	}
	if len(ranges) == 1 && ranges[0].From == ranges[0].To {
		return address4(offset, ranges[0].From)
	}
	content := fmt.Sprint(ranges)
	set := b.peers[content]
	if set == nil {
		set = b.set(fmt.Sprintf("peers-%d", len(b.peers)), &nftables.Set{Interval: true}, intervals(ranges))
		b.peers[content] = set
	}
	return []expr.Any{load(offset), &expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID}}
}

// intervals writes ranges as the kernel has them: where each begins, and the first address behind it unless it is the last of all.
func intervals(ranges []Range) []nftables.SetElement {
	var elements []nftables.SetElement
	for _, r := range ranges {
		from, to := r.From.As4(), number(r.To)
		elements = append(elements, nftables.SetElement{Key: from[:]})
		if to < math.MaxUint32 {
			end := address(to + 1).As4()
			elements = append(elements, nftables.SetElement{Key: end[:], IntervalEnd: true})
		}
	}
	return elements
}

func load(offset uint32) *expr.Payload {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}
}

func address4(offset uint32, a netip.Addr) []expr.Any {
	bytes := a.As4()
	return []expr.Any{load(offset), equal(bytes[:])}
}
