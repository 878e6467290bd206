package policy

import (
	"context"
	"fmt"
	"log"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
)

// settle is how long changes are collected before the rules are compiled; retry is the pause after a failure.
const (
	settle = 20 * time.Millisecond
	retry  = time.Second
)

// enforcer is where compiled rules go: the kernel, or a test.
type enforcer interface{ Apply(Rules) error }

// engine watches the cluster and keeps the enforcer up to date.
type engine struct {
	enforcer enforcer
	delay    time.Duration
	changed  chan struct{}

	pods       corelisters.PodLister
	namespaces corelisters.NamespaceLister
	policies   networkinglisters.NetworkPolicyLister

	// firstSeen is when the engine learned a pod's address, by UID and address; used with a delay only.
	firstSeen map[string]time.Time
	now       func() time.Time
}

// run enforces until the context ends. `ready` is called after the rules stand for the first time.
func run(ctx context.Context, client kubernetes.Interface, to enforcer, delay time.Duration, ready func()) error {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(slim))
	pods, namespaces, policies := factory.Core().V1().Pods(), factory.Core().V1().Namespaces(), factory.Networking().V1().NetworkPolicies()
	e := &engine{
		enforcer: to, delay: delay, changed: make(chan struct{}, 1),
		pods: pods.Lister(), namespaces: namespaces.Lister(), policies: policies.Lister(),
		firstSeen: map[string]time.Time{}, now: time.Now,
	}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		if _, err := informer.AddEventHandler(e.handler()); err != nil {
			return fmt.Errorf("failed to watch: %w", err)
		}
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced && ctx.Err() == nil {
			return fmt.Errorf("failed to list %s", kind)
		}
	}
	e.loop(ctx, ready)
	return nil
}

func (e *engine) handler() cache.ResourceEventHandler {
	signal := func() {
		select {
		case e.changed <- struct{}{}:
		default:
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { signal() },
		UpdateFunc: func(any, any) { signal() },
		DeleteFunc: func(any) { signal() },
	}
}

// loop compiles after each burst of changes and applies what differs.
func (e *engine) loop(ctx context.Context, ready func()) {
	var applied *Rules
	for ctx.Err() == nil {
		rules, again, err := e.compile()
		if err == nil && (applied == nil || !reflect.DeepEqual(*applied, rules)) {
			begun := time.Now()
			if err = e.enforcer.Apply(rules); err == nil {
				first := applied == nil
				applied = &rules
				log.Printf("policy: %s, applied in %s", rules.summary(), time.Since(begun).Round(time.Microsecond))
				if first {
					ready()
				}
			}
		}
		if err != nil {
			log.Printf("policy: failed to enforce, the rules before stay: %v", err)
			again = retry
		}
		e.wait(ctx, again)
	}
}

// wait returns after the next change and a little more, or after `again` if that is not 0.
func (e *engine) wait(ctx context.Context, again time.Duration) {
	var timer <-chan time.Time
	if again > 0 {
		timer = time.After(again)
	}
	select {
	case <-ctx.Done():
		return
	case <-timer:
	case <-e.changed:
		select {
		case <-ctx.Done():
		case <-time.After(settle):
		}
	}
	select {
	case <-e.changed:
	default:
	}
}

// compile reads the caches. With a delay it leaves out addresses that were learned too recently, and says when to look again.
func (e *engine) compile() (Rules, time.Duration, error) {
	pods, err := e.pods.List(labels.Everything())
	if err != nil {
		return Rules{}, 0, err
	}
	namespaces, err := e.namespaces.List(labels.Everything())
	if err != nil {
		return Rules{}, 0, err
	}
	policies, err := e.policies.List(labels.Everything())
	if err != nil {
		return Rules{}, 0, err
	}
	known, again := e.known(pods)
	return Compile(known, namespaces, policies), again, nil
}

func (e *engine) known(pods []*corev1.Pod) ([]*corev1.Pod, time.Duration) {
	if e.delay == 0 {
		return pods, 0
	}
	var known []*corev1.Pod
	var again time.Duration
	seen := map[string]time.Time{}
	for _, p := range pods {
		if p.Status.PodIP == "" {
			continue
		}
		key := string(p.UID) + " " + p.Status.PodIP
		since, found := e.firstSeen[key]
		if !found {
			since = e.now()
		}
		seen[key] = since
		if left := e.delay - e.now().Sub(since); left <= 0 {
			known = append(known, p)
		} else if again == 0 || left < again {
			again = left
		}
	}
	e.firstSeen = seen
	return known, again
}

func (r Rules) summary() string {
	ingress, egress := 0, 0
	for _, pod := range r.Pods {
		if pod.Ingress != nil {
			ingress++
		}
		if pod.Egress != nil {
			egress++
		}
	}
	return fmt.Sprintf("%d pods, %d isolated inbound, %d outbound", len(r.Pods), ingress, egress)
}

// slim drops what the engine never reads before an object goes into the cache.
func slim(object any) (any, error) {
	if o, ok := object.(metav1.Object); ok {
		o.SetManagedFields(nil)
		o.SetAnnotations(nil)
	}
	return object, nil
}
