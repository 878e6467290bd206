package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
)

// ownerLabel is alcazar-contract's label of a deployment's children.
const ownerLabel = "alcazar.dev/deployment"

// childrenOf is what the operator makes for one deployment with one replica, by resource.
var childrenOf = map[schema.GroupVersionResource]int{deployments: 1, services: 2, secrets: 1, accounts: 1, networkPolicies: 1}

func nChildren() int {
	n := 0
	for _, count := range childrenOf {
		n += count
	}
	return n
}

// tracker watches one namespace and remembers when what happened for the first time.
type tracker struct {
	mu sync.Mutex
	// Since the creation of each deployment, by name.
	created, firstStatus, ready map[string]time.Time
	// children is when each living child was seen first, by owner and then by resource and name.
	children map[string]map[string]time.Time
	sets     map[string]string
}

func (b *bench) track(ctx context.Context, namespace string) (*tracker, error) {
	t := &tracker{created: map[string]time.Time{}, firstStatus: map[string]time.Time{}, ready: map[string]time.Time{}, children: map[string]map[string]time.Time{}, sets: map[string]string{}}
	own := dynamicinformer.NewFilteredDynamicSharedInformerFactory(b.dynamic, 0, namespace, nil)
	if _, err := own.ForResource(llmDeployments).Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { t.seeOwner(object) },
		UpdateFunc: func(_, object any) { t.seeOwner(object) },
	}); err != nil {
		return nil, err
	}
	children := metadatainformer.NewFilteredSharedInformerFactory(b.metadata, 0, namespace, func(o *metav1.ListOptions) { o.LabelSelector = ownerLabel })
	for _, resource := range []schema.GroupVersionResource{deployments, services, secrets, accounts, networkPolicies, replicaSets} {
		if _, err := children.ForResource(resource).Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { t.seeChild(resource, object) },
			DeleteFunc: func(object any) { t.missChild(resource, object) },
		}); err != nil {
			return nil, err
		}
	}
	own.Start(ctx.Done())
	children.Start(ctx.Done())
	for _, synced := range []map[schema.GroupVersionResource]bool{own.WaitForCacheSync(ctx.Done()), children.WaitForCacheSync(ctx.Done())} {
		for resource, ok := range synced {
			if !ok {
				return nil, fmt.Errorf("failed to watch %s", resource.Resource)
			}
		}
	}
	return t, nil
}

func (t *tracker) create(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.created[name] = time.Now()
}

func (t *tracker) seeOwner(object any) {
	now := time.Now()
	owner, ok := object.(*unstructured.Unstructured)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	name := owner.GetName()
	if conditions, _, _ := unstructured.NestedSlice(owner.Object, "status", "conditions"); len(conditions) > 0 && t.firstStatus[name].IsZero() {
		t.firstStatus[name] = now
	}
	if status, _ := condition(owner, "Ready"); status != "True" {
		delete(t.ready, name)
	} else if t.ready[name].IsZero() {
		t.ready[name] = now
	}
}

func (t *tracker) seeChild(resource schema.GroupVersionResource, object any) {
	now := time.Now()
	child, ok := object.(metav1.Object)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	owner := child.GetLabels()[ownerLabel]
	key := resource.Resource + "/" + child.GetName()
	if resource == replicaSets {
		t.sets[key] = owner
		return
	}
	if t.children[owner] == nil {
		t.children[owner] = map[string]time.Time{}
	}
	t.children[owner][key] = now
}

func (t *tracker) missChild(resource schema.GroupVersionResource, object any) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	child, ok := object.(metav1.Object)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := resource.Resource + "/" + child.GetName()
	delete(t.sets, key)
	owner := child.GetLabels()[ownerLabel]
	delete(t.children[owner], key)
	if len(t.children[owner]) == 0 {
		delete(t.children, owner)
	}
}

// complete is how many owners have all their children, and when the last of those children was seen.
func (t *tracker) complete() (int, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, last := 0, time.Time{}
	for _, children := range t.children {
		if len(children) < nChildren() {
			continue
		}
		n++
		for _, at := range children {
			if at.After(last) {
				last = at
			}
		}
	}
	return n, last
}

// surplus is how many children there are beyond those that there should be, ReplicaSets included.
func (t *tracker) surplus(n int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	found := len(t.sets)
	for _, children := range t.children {
		found += len(children)
	}
	return found - n*(nChildren()+1)
}

func (t *tracker) nReady() (int, time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := time.Time{}
	for _, at := range t.ready {
		if at.After(last) {
			last = at
		}
	}
	return len(t.ready), last
}

// since lists how long after its creation each deployment got somewhere.
func (t *tracker) since(reached map[string]time.Time) []time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []time.Duration
	for name, at := range reached {
		if created, found := t.created[name]; found {
			all = append(all, at.Sub(created))
		}
	}
	return all
}
