package policy

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// quick is long enough for an answer on one machine; a connection that must pass gets more when that fails.
const quick = 250 * time.Millisecond

func (l *lab) connection(text string, timeout time.Duration) bool {
	p := connection(l.t, text)
	network := map[uint8]string{TCP: "tcp", UDP: "udp"}[p.Protocol]
	from, _, _ := strings.Cut(text, " ")
	return l.reached(from, network, fmt.Sprintf("%s:%d", p.Destination, p.Port), timeout)
}

func (l *lab) check(c testCase) {
	var all sync.WaitGroup
	for _, text := range c.Passes {
		all.Go(func() {
			if !l.connection(text, quick) && !l.connection(text, 10*quick) {
				l.t.Errorf("%s: %s is blocked", c.Name, text)
			}
		})
	}
	for _, text := range c.Blocked {
		all.Go(func() {
			if l.connection(text, quick) {
				l.t.Errorf("%s: %s passes", c.Name, text)
			}
		})
	}
	all.Wait()
}

// oneCase reads a case from YAML of the form of testdata/cases.yaml.
func oneCase(t *testing.T, text string) testCase {
	t.Helper()
	var c testCase
	if err := yaml.UnmarshalStrict([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPacketsDoAsTheCasesSay(t *testing.T) {
	l := newLab(t)
	everything := testCase{Name: "before any table"}
	for _, c := range cases(t) {
		everything.Passes = append(everything.Passes, c.Passes...)
		everything.Passes = append(everything.Passes, c.Blocked...)
	}
	l.check(everything)
	for _, c := range cases(t) {
		l.apply(c)
		l.check(c)
	}
	if err := l.table.Remove(); err != nil {
		t.Fatal(err)
	}
	everything.Name = "after the table is gone"
	l.check(everything)
	if err := l.table.Remove(); err != nil {
		t.Errorf("removing twice: %v", err)
	}
}

const denyWeb = `{name: deny, policies: [{podSelector: {}, policyTypes: [Ingress, Egress]}]}`

func TestAnOpenConnectionIsCutByANewPolicy(t *testing.T) {
	l := newLab(t)
	l.listen("a/db", ":5432")
	l.apply(testCase{})
	var conn net.Conn
	l.in("a/web", func() (err error) {
		conn, err = net.Dial("tcp", addresses["a/db"]+":5432")
		return err
	})
	defer func() { _ = conn.Close() }()
	echoes := func(within time.Duration) bool {
		_ = conn.SetDeadline(time.Now().Add(within))
		if _, err := conn.Write([]byte("x")); err != nil {
			return false
		}
		_, err := conn.Read(make([]byte, 1))
		return err == nil
	}
	if !echoes(5 * time.Second) {
		t.Fatal("no echo before the policy")
	}
	l.apply(oneCase(t, denyWeb))
	if echoes(2 * quick) {
		t.Error("the open connection outlived the policy")
	}
	l.apply(testCase{})
	if !echoes(10 * time.Second) {
		t.Error("the connection did not come back without the policy")
	}
}

func TestServicesAreJudgedByTheirPods(t *testing.T) {
	l := newLab(t)
	// What kube-proxy does: a Service's address becomes a pod's, and a pod that meets itself that way is masqueraded.
	l.nft(`table ip services {
		chain prerouting {
			type nat hook prerouting priority -100
			ip daddr 10.96.0.10 tcp dport 80 dnat to 10.99.0.21:8081
			ip daddr 10.96.0.1 tcp dport 443 dnat to 10.99.0.1:6443
			ip daddr 10.96.0.11 tcp dport 80 dnat to 10.99.0.11:8080
		}
		chain postrouting {
			type nat hook postrouting priority 100
			ip saddr 10.99.0.11 ip daddr 10.99.0.11 masquerade
		}
	}`)
	reach := func(target string) bool {
		return l.reached("a/web", "tcp", target, quick)
	}
	for _, c := range []struct {
		name, policies           string
		service, apiServer, self bool
	}{
		{"nothing denied", `[]`, true, true, true},
		{"all denied", `[{podSelector: {}, policyTypes: [Ingress, Egress]}]`, false, false, true},
		{"the pod's port allowed", `[{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {team: blue}}}], ports: [{port: 8081}]}]}]`, true, false, true},
		{"the Service's port allowed", `[{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 80}, {port: 443}]}]}]`, false, false, true},
		{"the Service's address allowed", `[{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.96.0.0/16}}]}]}]`, false, false, true},
		{"the API server allowed", `[{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.99.0.1/32}}], ports: [{port: 6443}]}]}]`, false, true, true},
	} {
		l.apply(oneCase(t, "{name: x, policies: "+c.policies+"}"))
		if got := reach("10.96.0.10:80"); got != c.service {
			t.Errorf("%s: the Service is reached: %t", c.name, got)
		}
		if got := reach("10.96.0.1:443"); got != c.apiServer {
			t.Errorf("%s: the API server is reached: %t", c.name, got)
		}
		if got := reach("10.96.0.11:80"); got != c.self {
			t.Errorf("%s: itself behind a Service is reached: %t", c.name, got)
		}
	}
}

func TestNoIPv6OnTheBridge(t *testing.T) {
	l := newLab(t)
	target := "[" + l.linkLocal("a/db") + "%eth0]:1"
	toHost := "[" + l.linkLocal("host") + "%eth0]:1"
	fromHost := "[" + l.linkLocal("a/db") + "%kbr0]:1"
	if !l.reached("a/web", "tcp", target, 10*quick) || !l.reached("a/web", "tcp", toHost, 10*quick) || !l.reached("host", "tcp", fromHost, 10*quick) {
		t.Fatal("IPv6 does not work without the table: the test would prove nothing")
	}
	l.apply(testCase{})
	for from, target := range map[string]string{"a/web": target, "b/web": toHost, "host": fromHost} {
		if l.reached(from, "tcp", target, quick) {
			t.Errorf("%s reached %s", from, target)
		}
	}
}

func TestManyRulesInOneTransaction(t *testing.T) {
	l := newLab(t)
	pods, namespaces := testPods(), testNamespaces()
	for i := range 250 {
		p := testPod(fmt.Sprintf("b/n%d", i), map[string]string{"app": fmt.Sprint("n", i)})
		p.Status.PodIP = fmt.Sprintf("10.99.%d.%d", 1+i/200, 1+i%200*2%255)
		pods = append(pods, p)
	}
	c := oneCase(t, `{name: many, policies: [
		{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 80}, {port: 81}]}], egress: [{to: [{namespaceSelector: {matchLabels: {team: blue}}}]}]},
		{namespace: b, podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {}}]}], egress: [{}]}]}`)
	begun := time.Now()
	if err := l.table.Apply(Compile(pods, namespaces, c.objects())); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d pods in %s", len(pods), time.Since(begun))
	l.check(testCase{Name: "many", Passes: []string{"b/web -> a/web tcp/80", "b/job -> b/web tcp/1"}, Blocked: []string{"b/web -> a/web tcp/82", "a/web -> a/db tcp/80", "a/web -> b/web tcp/1"}})
}

func (l *lab) nft(rules string) {
	l.t.Helper()
	command := exec.Command("ip", "netns", "exec", l.name("host"), "nft", "-f", "-")
	command.Stdin = strings.NewReader(rules)
	if out, err := command.CombinedOutput(); err != nil {
		l.t.Fatalf("nft: %v: %s", err, out)
	}
}

// linkLocal is the IPv6 address that the kernel gave an end on its own.
func (l *lab) linkLocal(end string) string {
	l.t.Helper()
	device := "eth0"
	if end == "host" {
		device = "kbr0"
	}
	var links []struct {
		Addresses []struct {
			Local string `json:"local"`
		} `json:"addr_info"`
	}
	if err := json.Unmarshal([]byte(l.ip("-n", l.name(end), "-j", "-6", "addr", "show", "dev", device, "scope", "link")), &links); err != nil {
		l.t.Fatal(err)
	}
	for _, link := range links {
		for _, address := range link.Addresses {
			return address.Local
		}
	}
	l.t.Fatalf("%s has no IPv6 address", end)
	return ""
}
