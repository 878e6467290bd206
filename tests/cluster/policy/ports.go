package policy

import (
	"math"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Protocol numbers of the IP header.
const (
	TCP  uint8 = 6
	UDP  uint8 = 17
	SCTP uint8 = 132
)

func protocol(p *corev1.Protocol) uint8 {
	if p == nil {
		return TCP
	}
	switch *p {
	case corev1.ProtocolUDP:
		return UDP
	case corev1.ProtocolSCTP:
		return SCTP
	default:
		return TCP
	}
}

func named(port networkingv1.NetworkPolicyPort) bool {
	return port.Port != nil && port.Port.Type == intstr.String
}

// resolve gives the ports that a policy's port means at a pod: none if it is a name that the pod does not have for that protocol.
func resolve(port networkingv1.NetworkPolicyPort, at *corev1.Pod) []Allow {
	number := protocol(port.Protocol)
	switch {
	case port.Port == nil:
		return []Allow{{Protocol: number, From: 0, To: math.MaxUint16}}
	case named(port):
		var found []Allow
		for _, container := range longRunning(at) {
			for _, p := range container.Ports {
				if p.Name == port.Port.StrVal && protocol(&p.Protocol) == number {
					found = append(found, Allow{Protocol: number, From: uint16(p.ContainerPort), To: uint16(p.ContainerPort)})
				}
			}
		}
		return found
	default:
		first := uint16(port.Port.IntVal)
		last := first
		if port.EndPort != nil {
			last = uint16(*port.EndPort)
		}
		return []Allow{{Protocol: number, From: first, To: last}}
	}
}

// longRunning is the containers and the sidecars, which are init containers that stay.
func longRunning(p *corev1.Pod) []corev1.Container {
	var found []corev1.Container
	for _, container := range p.Spec.InitContainers {
		if container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			found = append(found, container)
		}
	}
	return append(found, p.Spec.Containers...)
}

// Packet is the first packet of a connection, after Service addresses have been replaced by pod addresses.
type Packet struct {
	Source, Destination netip.Addr
	Protocol            uint8
	Port                uint16
}

// Allows is the rules' verdict: both ends must agree, and a pod may always talk to itself.
func (r Rules) Allows(p Packet) bool {
	if p.Source == p.Destination {
		return true
	}
	for _, pod := range r.Pods {
		if pod.Address == p.Source && !pod.Egress.allows(p.Destination, p) {
			return false
		}
		if pod.Address == p.Destination && !pod.Ingress.allows(p.Source, p) {
			return false
		}
	}
	return true
}

func (f *Filter) allows(peer netip.Addr, p Packet) bool {
	if f == nil {
		return true
	}
	for _, allow := range f.Allow {
		if allow.Protocol != 0 && (allow.Protocol != p.Protocol || p.Port < allow.From || p.Port > allow.To) {
			continue
		}
		if allow.Peers == nil {
			return true
		}
		for _, r := range allow.Peers {
			if r.Contains(peer) {
				return true
			}
		}
	}
	return false
}
