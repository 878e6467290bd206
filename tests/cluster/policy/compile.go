package policy

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Rules is what the policies of a cluster come to for each pod, ordered by address. It is pure data: compiled without IO, judged by Allows, enforced by table.go.
type Rules struct{ Pods []PodRules }

// PodRules is one pod's. A nil Filter means that no policy selects the pod in that direction: all is allowed.
type PodRules struct {
	Name            string
	Address         netip.Addr
	Ingress, Egress *Filter
}

// Filter holds what is let through; all else is dropped.
type Filter struct{ Allow []Allow }

// Allow is one way through. Nil peers mean everybody; protocol 0 means every protocol, and then the ports say nothing.
type Allow struct {
	Peers    []Range
	Protocol uint8
	From, To uint16
}

// pod is what of a pod matters here.
type pod struct {
	*corev1.Pod
	address netip.Addr
}

// world is all that selectors choose from.
type world struct {
	pods       []pod
	namespaces map[string]labels.Set
}

// Compile turns the objects of a cluster into rules.
func Compile(pods []*corev1.Pod, namespaces []*corev1.Namespace, policies []*networkingv1.NetworkPolicy) Rules {
	w := world{pods: eligible(pods), namespaces: map[string]labels.Set{}}
	for _, namespace := range namespaces {
		w.namespaces[namespace.Name] = namespace.Labels
	}
	// The order of the cache is that of a map; equal clusters must give equal rules.
	policies = slices.Clone(policies)
	slices.SortFunc(policies, func(a, b *networkingv1.NetworkPolicy) int {
		return slices.Compare([]string{a.Namespace, a.Name}, []string{b.Namespace, b.Name})
	})
	var rules Rules
	for _, p := range w.pods {
		compiled := PodRules{Name: p.Namespace + "/" + p.Name, Address: p.address}
		for _, policy := range policies {
			if policy.Namespace == p.Namespace && selects(&policy.Spec.PodSelector, p.Labels) {
				w.add(&compiled, p, policy)
			}
		}
		rules.Pods = append(rules.Pods, compiled)
	}
	return rules
}

// eligible leaves out what has no address of its own on the bridge: pods of the host's network, pods that have ended, pods without an address.
// An address that two pods seem to have belongs to the younger one.
func eligible(all []*corev1.Pod) []pod {
	byAddress := map[netip.Addr]*corev1.Pod{}
	for _, p := range all {
		address, err := netip.ParseAddr(p.Status.PodIP)
		ended := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
		if err != nil || !address.Is4() || ended || p.Spec.HostNetwork {
			continue
		}
		if other := byAddress[address]; other == nil || other.CreationTimestamp.Before(&p.CreationTimestamp) {
			byAddress[address] = p
		}
	}
	var found []pod
	for address, p := range byAddress {
		found = append(found, pod{p, address})
	}
	slices.SortFunc(found, func(a, b pod) int { return a.address.Compare(b.address) })
	return found
}

// add lets one policy speak about one pod that it selects.
func (w world) add(to *PodRules, p pod, policy *networkingv1.NetworkPolicy) {
	ingress, egress := directions(&policy.Spec)
	if ingress {
		if to.Ingress == nil {
			to.Ingress = &Filter{}
		}
		for _, rule := range policy.Spec.Ingress {
			to.Ingress.Allow = append(to.Ingress.Allow, w.ingress(p, policy.Namespace, rule)...)
		}
	}
	if egress {
		if to.Egress == nil {
			to.Egress = &Filter{}
		}
		for _, rule := range policy.Spec.Egress {
			to.Egress.Allow = append(to.Egress.Allow, w.egress(policy.Namespace, rule)...)
		}
	}
}

// directions says which directions a policy isolates. The API server fills policyTypes in; the rest is for objects that never passed it.
func directions(spec *networkingv1.NetworkPolicySpec) (ingress, egress bool) {
	if len(spec.PolicyTypes) == 0 {
		return true, len(spec.Egress) > 0
	}
	return slices.Contains(spec.PolicyTypes, networkingv1.PolicyTypeIngress), slices.Contains(spec.PolicyTypes, networkingv1.PolicyTypeEgress)
}

// ingress resolves named ports in the pod itself: it is the one that is reached.
func (w world) ingress(p pod, namespace string, rule networkingv1.NetworkPolicyIngressRule) []Allow {
	peers := w.peers(namespace, rule.From)
	if len(rule.From) > 0 && len(peers) == 0 {
		return nil
	}
	if len(rule.Ports) == 0 {
		return []Allow{{Peers: peers}}
	}
	var allowed []Allow
	for _, port := range rule.Ports {
		for _, ports := range resolve(port, p.Pod) {
			ports.Peers = peers
			allowed = append(allowed, ports)
		}
	}
	return allowed
}

// egress resolves named ports in each pod that is reached, so such a rule says nothing about addresses outside the cluster.
func (w world) egress(namespace string, rule networkingv1.NetworkPolicyEgressRule) []Allow {
	peers := w.peers(namespace, rule.To)
	if len(rule.To) > 0 && len(peers) == 0 {
		return nil
	}
	if len(rule.Ports) == 0 {
		return []Allow{{Peers: peers}}
	}
	var allowed []Allow
	for _, port := range rule.Ports {
		if !named(port) {
			for _, ports := range resolve(port, nil) {
				ports.Peers = peers
				allowed = append(allowed, ports)
			}
			continue
		}
		for _, other := range w.pods {
			if peers != nil && !slices.ContainsFunc(peers, func(r Range) bool { return r.Contains(other.address) }) {
				continue
			}
			for _, ports := range resolve(port, other.Pod) {
				ports.Peers = []Range{one(other.address)}
				allowed = append(allowed, ports)
			}
		}
	}
	return allowed
}

// peers is the addresses of a rule's `from` or `to`; nil for a rule without one, which means everybody. A peer is the AND of its selectors, the list is the OR of its peers.
func (w world) peers(namespace string, list []networkingv1.NetworkPolicyPeer) []Range {
	if len(list) == 0 {
		return nil
	}
	var found []Range
	for _, peer := range list {
		if peer.IPBlock != nil {
			found = append(found, block(peer.IPBlock)...)
			continue
		}
		if peer.PodSelector == nil && peer.NamespaceSelector == nil {
			continue
		}
		for _, p := range w.pods {
			inNamespace := p.Namespace == namespace
			if peer.NamespaceSelector != nil {
				set, known := w.namespaces[p.Namespace]
				inNamespace = known && selects(peer.NamespaceSelector, set)
			}
			if inNamespace && (peer.PodSelector == nil || selects(peer.PodSelector, p.Labels)) {
				found = append(found, one(p.address))
			}
		}
	}
	return merged(found)
}

func block(b *networkingv1.IPBlock) []Range {
	whole, ok := fromCIDR(b.CIDR)
	if !ok {
		return nil
	}
	var holes []Range
	for _, except := range b.Except {
		if hole, ok := fromCIDR(except); ok {
			holes = append(holes, hole)
		}
	}
	return whole.minus(holes)
}

func selects(selector *metav1.LabelSelector, set labels.Set) bool {
	compiled, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && compiled.Matches(set)
}
