package policy

import (
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

type testCase struct {
	Name     string
	Policies []struct {
		Namespace string `json:"namespace"`
		networkingv1.NetworkPolicySpec
	}
	Passes, Blocked []string
}

func cases(t *testing.T) []testCase {
	t.Helper()
	content, err := os.ReadFile("testdata/cases.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var found []testCase
	if err := yaml.UnmarshalStrict(content, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

func (c testCase) objects() []*networkingv1.NetworkPolicy {
	var policies []*networkingv1.NetworkPolicy
	for i, p := range c.Policies {
		namespace := p.Namespace
		if namespace == "" {
			namespace = "a"
		}
		policies = append(policies, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprint("p", i)}, Spec: p.NetworkPolicySpec})
	}
	return policies
}

// addresses are the ends of the cases' connections; host and outside are no pods.
var addresses = map[string]string{
	"a/web": "10.99.0.11", "a/db": "10.99.0.12", "b/web": "10.99.0.21", "b/job": "10.99.0.22", "kube-system/dns": "10.99.0.53",
	"host": "10.99.0.1", "outside": "192.0.2.10",
}

func testPod(name string, labels map[string]string, ports ...corev1.ContainerPort) *corev1.Pod {
	namespace, short, _ := strings.Cut(name, "/")
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: short, UID: types.UID(name), Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Ports: ports}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: addresses[name]},
	}
}

func port(name string, number int32, protocol corev1.Protocol) corev1.ContainerPort {
	return corev1.ContainerPort{Name: name, ContainerPort: number, Protocol: protocol}
}

func testPods() []*corev1.Pod {
	return []*corev1.Pod{
		testPod("a/web", map[string]string{"app": "web"}, port("http", 8080, "TCP"), port("query", 5353, "UDP")),
		testPod("a/db", map[string]string{"app": "db"}, port("pg", 5432, "TCP")),
		testPod("b/web", map[string]string{"app": "web", "role": "front"}, port("http", 8081, "TCP")),
		testPod("b/job", map[string]string{"app": "job"}),
		testPod("kube-system/dns", map[string]string{"k8s-app": "kube-dns"}, port("dns", 53, "UDP"), port("dns-tcp", 53, "TCP")),
	}
}

func testNamespaces() []*corev1.Namespace {
	var found []*corev1.Namespace
	for name, labels := range map[string]map[string]string{"a": {"team": "red"}, "b": {"team": "blue"}, "kube-system": {}} {
		labels["kubernetes.io/metadata.name"] = name
		found = append(found, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	}
	return found
}

// connection reads "a/web -> a/db tcp/5432".
func connection(t *testing.T, text string) Packet {
	t.Helper()
	words := strings.Fields(text)
	if len(words) != 4 || words[1] != "->" || addresses[words[0]] == "" || addresses[words[2]] == "" {
		t.Fatalf("%q is no connection", text)
	}
	protocolName, portText, _ := strings.Cut(words[3], "/")
	number, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	protocolNumber := map[string]uint8{"tcp": TCP, "udp": UDP, "sctp": SCTP}[protocolName]
	if protocolNumber == 0 {
		t.Fatalf("%q has no known protocol", text)
	}
	return Packet{Source: netip.MustParseAddr(addresses[words[0]]), Destination: netip.MustParseAddr(addresses[words[2]]), Protocol: protocolNumber, Port: uint16(number)}
}

func TestCases(t *testing.T) {
	all := cases(t)
	if len(all) < 25 {
		t.Fatalf("only %d cases", len(all))
	}
	for _, c := range all {
		t.Run(c.Name, func(t *testing.T) {
			rules := Compile(testPods(), testNamespaces(), c.objects())
			check := func(list []string, want bool) {
				for _, text := range list {
					// The host's own traffic to pods never meets the hooks; the real test proves it.
					if strings.HasPrefix(text, "host ->") {
						continue
					}
					if got := rules.Allows(connection(t, text)); got != want {
						t.Errorf("%s: allowed is %t", text, got)
					}
				}
			}
			check(c.Passes, true)
			check(c.Blocked, false)
		})
	}
}

func TestSCTPIsItsOwnProtocol(t *testing.T) {
	sctp := corev1.ProtocolSCTP
	deny := testCase{}.objects()
	deny = append(deny, &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "a"}, Spec: networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{"Ingress"},
		Ingress:     []networkingv1.NetworkPolicyIngressRule{{Ports: []networkingv1.NetworkPolicyPort{{Protocol: &sctp}}}},
	}})
	rules := Compile(testPods(), testNamespaces(), deny)
	if !rules.Allows(connection(t, "b/job -> a/web sctp/7")) || rules.Allows(connection(t, "b/job -> a/web tcp/7")) {
		t.Error("a rule for SCTP")
	}
}

func TestWhichPodsCount(t *testing.T) {
	deny := []*networkingv1.NetworkPolicy{{ObjectMeta: metav1.ObjectMeta{Namespace: "a"}, Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress"}}}}
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		counts bool
	}{
		"running":             {func(*corev1.Pod) {}, true},
		"pending":             {func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }, true},
		"being deleted":       {func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Now()} }, true},
		"succeeded":           {func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, false},
		"failed":              {func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, false},
		"of the host network": {func(p *corev1.Pod) { p.Spec.HostNetwork = true }, false},
		"without an address":  {func(p *corev1.Pod) { p.Status.PodIP = "" }, false},
		"with IPv6":           {func(p *corev1.Pod) { p.Status.PodIP = "fd00::1" }, false},
	} {
		p := testPod("a/web", nil)
		c.change(p)
		if rules := Compile([]*corev1.Pod{p}, testNamespaces(), deny); (len(rules.Pods) == 1 && rules.Pods[0].Ingress != nil) != c.counts {
			t.Errorf("a pod %s: %+v", name, rules.Pods)
		}
	}
}

func TestAnAddressBelongsToTheYoungerPod(t *testing.T) {
	old, young := testPod("a/web", nil), testPod("a/db", nil)
	old.CreationTimestamp, young.CreationTimestamp = metav1.Unix(1, 0), metav1.Unix(2, 0)
	young.Status.PodIP = old.Status.PodIP
	for _, order := range [][]*corev1.Pod{{old, young}, {young, old}} {
		if rules := Compile(order, nil, nil); len(rules.Pods) != 1 || rules.Pods[0].Name != "a/db" {
			t.Errorf("%+v", rules.Pods)
		}
	}
}

func TestSidecarsHaveNamedPorts(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	p := testPod("a/web", nil)
	p.Spec.InitContainers = []corev1.Container{
		{Name: "once", Ports: []corev1.ContainerPort{port("once", 1, "TCP")}},
		{Name: "sidecar", RestartPolicy: &always, Ports: []corev1.ContainerPort{port("side", 2, "TCP")}},
	}
	var names []string
	for _, container := range longRunning(p) {
		names = append(names, container.Name)
	}
	if !slices.Equal(names, []string{"sidecar", "c"}) {
		t.Errorf("%v", names)
	}
}

func TestTheOrderOfObjectsDoesNotMatter(t *testing.T) {
	for _, c := range cases(t) {
		pods, policies := testPods(), c.objects()
		forwards := Compile(pods, testNamespaces(), policies)
		slices.Reverse(pods)
		slices.Reverse(policies)
		if backwards := Compile(pods, testNamespaces(), policies); !reflect.DeepEqual(forwards, backwards) {
			t.Errorf("%s: rules differ", c.Name)
		}
	}
}

func TestRanges(t *testing.T) {
	cidr := func(text string) Range {
		r, ok := fromCIDR(text)
		if !ok {
			t.Fatal(text)
		}
		return r
	}
	show := func(ranges []Range) string {
		var parts []string
		for _, r := range ranges {
			parts = append(parts, r.From.String()+"-"+r.To.String())
		}
		return strings.Join(parts, " ")
	}
	for _, c := range []struct{ name, got, want string }{
		{"all", show([]Range{cidr("0.0.0.0/0")}), "0.0.0.0-255.255.255.255"},
		{"host bits are ignored", show([]Range{cidr("10.1.2.3/8")}), "10.0.0.0-10.255.255.255"},
		{"hole at the start", show(cidr("10.0.0.0/30").minus([]Range{cidr("10.0.0.0/32")})), "10.0.0.1-10.0.0.3"},
		{"hole at the end", show(cidr("10.0.0.0/30").minus([]Range{cidr("10.0.0.3/32")})), "10.0.0.0-10.0.0.2"},
		{"hole in the middle", show(cidr("10.0.0.0/30").minus([]Range{cidr("10.0.0.1/32")})), "10.0.0.0-10.0.0.0 10.0.0.2-10.0.0.3"},
		{"hole as large as all", show(cidr("10.0.0.0/30").minus([]Range{cidr("10.0.0.0/8")})), ""},
		{"hole elsewhere", show(cidr("10.0.0.0/30").minus([]Range{cidr("11.0.0.0/8")})), "10.0.0.0-10.0.0.3"},
		{"two holes", show(cidr("0.0.0.0/0").minus([]Range{cidr("10.0.0.0/8"), cidr("192.168.0.0/16")})), "0.0.0.0-9.255.255.255 11.0.0.0-192.167.255.255 192.169.0.0-255.255.255.255"},
		{"overlap and touch", show(merged([]Range{cidr("10.0.0.4/30"), cidr("10.0.0.0/30"), cidr("10.0.0.2/31"), cidr("10.0.1.0/32")})), "10.0.0.0-10.0.0.7 10.0.1.0-10.0.1.0"},
		{"inside", show(merged([]Range{cidr("10.0.0.0/8"), cidr("10.1.0.0/16"), cidr("11.0.0.0/32")})), "10.0.0.0-11.0.0.0"},
		{"up to the last", show(merged([]Range{cidr("255.255.255.255/32"), cidr("0.0.0.0/0")})), "0.0.0.0-255.255.255.255"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q instead of %q", c.name, c.got, c.want)
		}
	}
	for _, bad := range []string{"", "10.0.0.1", "::/0", "10.0.0.0/33"} {
		if _, ok := fromCIDR(bad); ok {
			t.Errorf("%q was taken", bad)
		}
	}
}
