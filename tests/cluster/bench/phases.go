package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	// parallel is how many requests the bench sends at once: as a script with a few workers does.
	parallel = 8
	// calm is how long the operator must not have written for the cluster to count as quiet.
	calm = 3 * time.Second
)

// goals are what this project holds itself to at a size; what is 0 is only told.
var goals = map[int]struct{ p50, p99, children, resident float64 }{
	100: {p50: 0.1, p99: 0.5, children: 2, resident: 20},
	500: {children: 9, resident: 35},
}

// steady measures creation, rest, restart and repair at one size, in a namespace of its own.
func (b *bench) steady(ctx context.Context, namespace string, n int) error {
	log.Printf("N=%d", n)
	if err := b.start(ctx); err != nil {
		return err
	}
	defer func() { b.operator.end(syscall.SIGTERM) }()
	if err := b.makeModel(ctx, namespace); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	t, err := b.track(ctx, namespace)
	if err != nil {
		return err
	}
	if err := b.atStart(ctx, n); err != nil {
		return err
	}
	for _, phase := range []func(context.Context, *tracker, string, int) error{b.creation, b.floor, b.rest, b.annotation, b.restart, b.drift, b.deletion} {
		if err := phase(ctx, t, namespace, n); err != nil {
			return err
		}
	}
	return nil
}

// atStart is the memory of an operator that has one model and nothing to do.
func (b *bench) atStart(ctx context.Context, n int) error {
	if err := b.quiet(ctx, time.Minute); err != nil {
		return err
	}
	resident, err := b.operator.resident()
	if err == nil && n == b.small {
		b.results.atMost("resident at start", resident, "MiB", 12)
	}
	return err
}

func (b *bench) creation(ctx context.Context, t *tracker, namespace string, n int) error {
	from, err := b.audit.now()
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := b.createAll(ctx, t, namespace, n); err != nil {
		return err
	}
	if err := eventually(ctx, enough(n), "all children", func() (bool, error) {
		done, _ := t.complete()
		return done == n, errors.Join(b.alive(), fmt.Errorf("%d of %d have all", done, n))
	}); err != nil {
		return err
	}
	if err := b.allReady(ctx, t, n); err != nil {
		return err
	}
	if err := b.quiet(ctx, 5*time.Minute); err != nil {
		return err
	}
	_, last := t.complete()
	_, ready := t.nReady()
	asked, err := b.audit.since(from)
	if err != nil {
		return err
	}
	log.Printf("create to ready: %s", asked)
	first := t.since(t.firstStatus)
	goal := goals[n]
	b.results.judge(at("first status write after create, p50", n), percentile(first, 50).Seconds(), "s", goal.p50)
	b.results.judge(at("first status write after create, p99", n), percentile(first, 99).Seconds(), "s", goal.p99)
	b.results.judge(at("all children there", n), last.Sub(begun).Seconds(), "s", goal.children)
	b.results.tell(at("all ready", n), ready.Sub(begun).Seconds(), "s")
	b.results.atMost(at("writes per deployment from create to ready", n), per(asked.writes, n), "writes", float64(nChildren()+5))
	b.results.tell(at("calls per deployment from create to ready", n), per(asked.all, n), "calls")
	return b.memory(n)
}

func (b *bench) memory(n int) error {
	resident, err := b.operator.resident()
	if err != nil {
		return err
	}
	b.results.judge(at("resident", n), resident, "MiB", goals[n].resident)
	return nil
}

func (b *bench) createAll(ctx context.Context, t *tracker, namespace string, n int) error {
	return inParallel(n, func(i int) error {
		name := fmt.Sprintf("d%03d", i)
		object := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "alcazar.dev/v1alpha1", "kind": "LlmDeployment",
			"metadata": map[string]any{"name": name, "namespace": namespace},
			// Simulated pods prove nothing, and nobody waits for it.
			"spec": map[string]any{"modelName": "shared", "network": map[string]any{"isolation": "BestEffort"}},
		}}
		t.create(name)
		_, err := b.dynamic.Resource(llmDeployments).Namespace(namespace).Create(ctx, object, metav1.CreateOptions{FieldManager: manager})
		return err
	})
}

func (b *bench) allReady(ctx context.Context, t *tracker, n int) error {
	return eventually(ctx, enough(n), "all deployments to be ready", func() (bool, error) {
		ready, _ := t.nReady()
		return ready == n, errors.Join(b.alive(), fmt.Errorf("%d of %d are", ready, n))
	})
}

// quiet waits until the operator has not written for a while.
func (b *bench) quiet(ctx context.Context, within time.Duration) error {
	deadline := time.Now().Add(within)
	for {
		from, err := b.audit.now()
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(calm):
		}
		asked, err := b.audit.since(from)
		if err != nil || asked.writes == 0 {
			return errors.Join(err, b.alive())
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the operator was still writing after %s: %s", within, asked)
		}
	}
}

// enough is when an operator that works slowly is taken for one that does not work.
func enough(n int) time.Duration { return time.Minute + time.Duration(n)*time.Second/2 }

func at(name string, n int) string { return fmt.Sprintf("%s (N=%d)", name, n) }

func per(count, n int) float64 { return float64(count) / float64(n) }

// inParallel calls do for 0 to n-1 and returns all errors.
func inParallel(n int, do func(int) error) error {
	next := make(chan int)
	errs := make([]error, n)
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for i := range next {
				errs[i] = do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
	return errors.Join(errs...)
}
