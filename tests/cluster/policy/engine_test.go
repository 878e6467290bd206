package policy

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
)

// recorder is an enforcer that remembers, and fails as often as it is told.
type recorder struct {
	mu      sync.Mutex
	applied []Rules
	fail    int
}

func (r *recorder) Apply(rules Rules) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail > 0 {
		r.fail--
		return errors.New("on purpose")
	}
	r.applied = append(r.applied, rules)
	return nil
}

func (r *recorder) last() (Rules, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.applied) == 0 {
		return Rules{}, 0
	}
	return r.applied[len(r.applied)-1], len(r.applied)
}

func (r *recorder) until(t *testing.T, what string, holds func(Rules) bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if rules, n := r.last(); n > 0 && holds(rules) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	rules, n := r.last()
	t.Fatalf("never %s; %d applied, last %+v", what, n, rules)
}

func start(t *testing.T, to *recorder, delay time.Duration) kubernetes.Interface {
	t.Helper()
	client := fake.NewClientset()
	for _, namespace := range testNamespaces() {
		if _, err := client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ready := make(chan struct{})
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, client, to, delay, func() { close(ready) }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case <-time.After(10 * time.Second):
		t.Fatal("never ready")
	}
	return client
}

func deny(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "deny"}, Spec: networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress"}}}
	if _, err := client.NetworkingV1().NetworkPolicies("a").Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, client kubernetes.Interface, p *corev1.Pod) {
	t.Helper()
	if _, err := client.CoreV1().Pods(p.Namespace).Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func isolated(rules Rules) bool { return len(rules.Pods) == 1 && rules.Pods[0].Ingress != nil }

func TestEngineFollowsTheCluster(t *testing.T) {
	to := &recorder{}
	client := start(t, to, 0)
	create(t, client, testPod("a/web", nil))
	to.until(t, "one open pod", func(r Rules) bool { return len(r.Pods) == 1 && r.Pods[0].Ingress == nil })
	deny(t, client)
	to.until(t, "isolated", isolated)
	if err := client.NetworkingV1().NetworkPolicies("a").Delete(t.Context(), "deny", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	to.until(t, "open again", func(r Rules) bool { return len(r.Pods) == 1 && r.Pods[0].Ingress == nil })
	if err := client.CoreV1().Pods("a").Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	to.until(t, "empty", func(r Rules) bool { return len(r.Pods) == 0 })
}

func TestEngineLeavesEqualRulesAlone(t *testing.T) {
	to := &recorder{}
	client := start(t, to, 0)
	p := testPod("a/web", nil)
	create(t, client, p)
	to.until(t, "one pod", func(r Rules) bool { return len(r.Pods) == 1 })
	_, before := to.last()
	for _, note := range []string{"1", "2", "3"} {
		p.Status.Message = note
		if _, err := client.CoreV1().Pods("a").UpdateStatus(t.Context(), p, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * settle)
	}
	if _, after := to.last(); after != before {
		t.Errorf("applied %d times for changes that mean nothing", after-before)
	}
}

func TestEngineTriesAgain(t *testing.T) {
	to := &recorder{fail: 2}
	client := start(t, to, 0)
	create(t, client, testPod("a/web", nil))
	to.until(t, "one pod", func(r Rules) bool { return len(r.Pods) == 1 })
}

func TestDelayLearnsPodsLate(t *testing.T) {
	const delay = 400 * time.Millisecond
	to := &recorder{}
	client := start(t, to, delay)
	deny(t, client)
	begun := time.Now()
	create(t, client, testPod("a/web", nil))
	time.Sleep(delay / 4)
	if rules, _ := to.last(); len(rules.Pods) != 0 {
		t.Error("the pod was known at once")
	}
	to.until(t, "isolated", isolated)
	if took := time.Since(begun); took < delay {
		t.Errorf("known after %s", took)
	}
}
