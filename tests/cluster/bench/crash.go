package main

import (
	"context"
	"fmt"
	"log"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// crash kills the operator in the middle of its work, as a lost node does, and measures how another finishes it.
func (b *bench) crash(ctx context.Context, n int) error {
	const namespace = "crash"
	killAt := n * 40 / 100
	log.Printf("kill -9 at %d of %d", killAt, n)
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
	created := make(chan error, 1)
	go func() { created <- b.createAll(ctx, t, namespace, n) }()
	if err := eventually(ctx, 2*time.Minute, "the moment to kill", func() (bool, error) {
		done, _ := t.complete()
		return done >= killAt, fmt.Errorf("%d of %d are complete", done, killAt)
	}); err != nil {
		return err
	}
	killed, _ := t.complete()
	b.operator.end(syscall.SIGKILL)
	before, err := b.holder(ctx)
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := b.startAgain(ctx, before, begun); err != nil {
		return err
	}
	if err := <-created; err != nil {
		return err
	}
	if err := b.allReady(ctx, t, n); err != nil {
		return err
	}
	_, last := t.nReady()
	if err := b.quiet(ctx, 2*time.Minute); err != nil {
		return err
	}
	b.results.tell("kill -9: deployments complete at the kill", float64(killed), fmt.Sprintf("of %d", n))
	b.results.atMost(fmt.Sprintf("kill -9 at %d of %d: all ready after restart", killAt, n), last.Sub(begun).Seconds(), "s", 8)
	b.results.atMost("kill -9: children too many", float64(t.surplus(n)), "objects", 0)
	return b.deletion(ctx, t, namespace, n)
}

// startAgain starts the next operator and tells when it has taken the dead one's Lease over.
func (b *bench) startAgain(ctx context.Context, before string, begun time.Time) error {
	failed := make(chan error, 1)
	go func() { failed <- b.start(ctx) }()
	if err := eventually(ctx, 2*time.Minute, "the Lease to be taken over", func() (bool, error) {
		holder, err := b.holder(ctx)
		return err == nil && holder != "" && holder != before, err
	}); err != nil {
		return err
	}
	b.results.atMost("kill -9: Lease taken over", time.Since(begun).Seconds(), "s", 8)
	return <-failed
}

func (b *bench) holder(ctx context.Context) (string, error) {
	lease, err := b.typed.CoordinationV1().Leases(operatorNamespace).Get(ctx, "alcazar-operator", metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity == nil {
		return "", err
	}
	return *lease.Spec.HolderIdentity, nil
}
