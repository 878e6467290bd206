package main

import (
	"context"
	"fmt"
	"log"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// rest counts what the operator asks while nothing happens.
func (b *bench) rest(ctx context.Context, _ *tracker, _ string, n int) error {
	from, err := b.audit.now()
	if err != nil {
		return err
	}
	used, err := b.operator.cpu()
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(b.idle):
	}
	asked, err := b.audit.since(from)
	if err != nil {
		return err
	}
	now, err := b.operator.cpu()
	if err != nil {
		return err
	}
	log.Printf("idle for %s: %s", b.idle, asked)
	name := "idle for " + duration(b.idle)
	b.results.atMost(at(name+": writes", n), float64(asked.writes), "writes", 0)
	b.results.tell(at(name+": calls", n), float64(asked.all), "calls")
	b.results.tell(at(name+": calls for the lease a minute", n), float64(asked.leases)/b.idle.Minutes(), "calls")
	b.results.tell(at(name+": processor", n), 100*(now-used).Seconds()/b.idle.Seconds(), "% of a core")
	return nil
}

// duration is 1m and not 1m0s.
func duration(d time.Duration) string {
	if text, whole := strings.CutSuffix(d.String(), "m0s"); whole {
		return text + "m"
	}
	return d.String()
}

// annotation changes every object in a way that means nothing to the operator.
func (b *bench) annotation(ctx context.Context, _ *tracker, namespace string, n int) error {
	from, err := b.audit.now()
	if err != nil {
		return err
	}
	if err := inParallel(n, func(i int) error {
		note := []byte(`{"metadata":{"annotations":{"example.com/note":"hello"}}}`)
		_, err := b.dynamic.Resource(llmDeployments).Namespace(namespace).Patch(ctx, fmt.Sprintf("d%03d", i), types.MergePatchType, note, metav1.PatchOptions{FieldManager: manager})
		return err
	}); err != nil {
		return err
	}
	if err := b.quiet(ctx, 2*time.Minute); err != nil {
		return err
	}
	asked, err := b.audit.since(from)
	if err != nil {
		return err
	}
	log.Printf("annotation: %s", asked)
	b.results.atMost(at("annotation on the object: writes per object", n), per(asked.writes, n), "writes", 0)
	return nil
}

func (b *bench) restart(ctx context.Context, t *tracker, namespace string, n int) error {
	before, err := b.generations(ctx, namespace)
	if err != nil {
		return err
	}
	begun := time.Now()
	b.operator.end(syscall.SIGTERM)
	b.results.tell(at("from SIGTERM to the end", n), time.Since(begun).Seconds(), "s")
	from, err := b.audit.now()
	if err != nil {
		return err
	}
	begun = time.Now()
	if err := b.start(ctx); err != nil {
		return err
	}
	b.results.tell(at("from start to ready", n), time.Since(begun).Seconds(), "s")
	// A write that comes late, after pods were asked or a first resync, counts too.
	time.Sleep(10 * time.Second)
	if err := b.quiet(ctx, 2*time.Minute); err != nil {
		return err
	}
	asked, err := b.audit.since(from)
	if err != nil {
		return err
	}
	log.Printf("restart: %s", asked)
	b.results.atMost(at("restart: writes per object", n), per(asked.writes, n), "writes", 0)
	b.results.tell(at("restart: calls per object", n), per(asked.all, n), "calls")
	after, err := b.generations(ctx, namespace)
	if err != nil {
		return err
	}
	changed := 0
	for object, version := range after {
		if before[object] != version {
			changed++
		}
	}
	b.results.atMost(at("restart: objects that changed", n), float64(changed), "objects", 0)
	return b.allReady(ctx, t, n)
}

// generations is the resource version of every object that the operator may write; Deployments, whose status others write, count by their generation.
func (b *bench) generations(ctx context.Context, namespace string) (map[string]string, error) {
	found := map[string]string{}
	for _, resource := range []schema.GroupVersionResource{llmDeployments, llmModels, deployments, services, secrets, accounts, networkPolicies} {
		list, err := b.metadata.Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("failed to list %s: %w", resource.Resource, err)
		}
		for _, object := range list.Items {
			version := object.ResourceVersion
			if resource == deployments {
				version = fmt.Sprint(object.UID, object.Generation, object.Labels)
			}
			found[resource.Resource+"/"+object.Name] = version
		}
	}
	return found, nil
}

func (b *bench) deletion(ctx context.Context, t *tracker, namespace string, n int) error {
	begun := time.Now()
	from, err := b.audit.now()
	if err != nil {
		return err
	}
	if err := b.dynamic.Resource(llmDeployments).Namespace(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		return err
	}
	if err := eventually(ctx, 2*time.Minute, "all children to be gone", func() (bool, error) {
		left := t.surplus(0)
		return left == 0, fmt.Errorf("%d are left", left)
	}); err != nil {
		log.Print(err)
	}
	b.results.tell(at("delete all: children gone", n), time.Since(begun).Seconds(), "s")
	b.results.atMost(at("delete all: children left behind", n), float64(t.surplus(0)), "objects", 0)
	asked, err := b.audit.since(from)
	if err != nil {
		return err
	}
	log.Printf("delete: %s", asked)
	b.results.tell(at("delete all: writes per object", n), per(asked.writes, n), "writes")
	return nil
}
