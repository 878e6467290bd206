package main

import (
	"context"
	"fmt"
	"log"
	"reflect"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// samples is how many deployments each edit is tried on.
	samples = 3
	// patience is when an edit counts as never mended.
	patience = 10 * time.Second
	drifted  = 1.0 // seconds
)

// edit is one way in which somebody changes what the operator owns.
type edit struct {
	name     string
	resource schema.GroupVersionResource
	suffix   string
	// patch is empty for a deletion.
	kind  types.PatchType
	patch string
}

var edits = []edit{
	{"image of the Deployment", deployments, "", types.JSONPatchType, `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"example.com/other:1"}]`},
	{"argument of the container", deployments, "", types.JSONPatchType, `[{"op":"replace","path":"/spec/template/spec/containers/0/args/0","value":"other"}]`},
	{"label of the Deployment's pods", deployments, "", types.MergePatchType, `{"spec":{"template":{"metadata":{"labels":{"app.kubernetes.io/managed-by":"other"}}}}}`},
	{"labels of the Deployment removed", deployments, "", types.JSONPatchType, `[{"op":"remove","path":"/metadata/labels"}]`},
	{"port of the Service", services, "", types.JSONPatchType, `[{"op":"replace","path":"/spec/ports/0/port","value":8888}]`},
	{"selector of the Service", services, "", types.MergePatchType, `{"spec":{"selector":{"alcazar.dev/deployment":"other"}}}`},
	{"labels of the Service removed", services, "-pods", types.JSONPatchType, `[{"op":"remove","path":"/metadata/labels"}]`},
	{"NetworkPolicy opened", networkPolicies, "-serve", types.MergePatchType, `{"spec":{"ingress":[{}],"egress":[{}]}}`},
	{"policy types of the NetworkPolicy", networkPolicies, "-serve", types.MergePatchType, `{"spec":{"policyTypes":["Ingress"]}}`},
	{"token of the ServiceAccount", accounts, "", types.MergePatchType, `{"automountServiceAccountToken":true}`},
	{"owner of the ServiceAccount removed", accounts, "", types.JSONPatchType, `[{"op":"remove","path":"/metadata/ownerReferences"}]`},
	{name: "Deployment deleted", resource: deployments},
	{name: "Service deleted", resource: services},
	{name: "NetworkPolicy deleted", resource: networkPolicies, suffix: "-serve"},
	{name: "ServiceAccount deleted", resource: accounts},
	{"certificate in the Secret", secrets, "-tls", types.MergePatchType, `{"data":{"tls.crt":"b3RoZXI="}}`},
	{name: "Secret deleted", resource: secrets, suffix: "-tls"},
}

// drift edits children behind the operator's back and measures until they are as before.
func (b *bench) drift(ctx context.Context, _ *tracker, namespace string, n int) error {
	worst := time.Duration(0)
	for i, e := range edits {
		slowest := time.Duration(0)
		for sample := range samples {
			name := fmt.Sprintf("d%03d%s", (i*samples+sample)%n, e.suffix)
			took, err := b.mend(ctx, namespace, name, e)
			if err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
			slowest = max(slowest, took)
			if took >= patience {
				break
			}
		}
		worst = max(worst, slowest)
		b.results.atMost(at("drift, "+e.name+": restored", n), slowest.Seconds(), "s", drifted)
	}
	b.results.atMost(at("drift, any of these: restored", n), worst.Seconds(), "s", drifted)
	if err := b.quiet(ctx, 2*time.Minute); err != nil {
		// A Secret that was not mended in time may be so later; the figures above say it.
		log.Printf("after the edits: %v", err)
	}
	return nil
}

func (b *bench) mend(ctx context.Context, namespace, name string, e edit) (time.Duration, error) {
	objects := b.dynamic.Resource(e.resource).Namespace(namespace)
	before, err := objects.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	if e.patch == "" {
		err = objects.Delete(ctx, name, metav1.DeleteOptions{})
	} else {
		var edited *unstructured.Unstructured
		edited, err = objects.Patch(ctx, name, e.kind, []byte(e.patch), metav1.PatchOptions{FieldManager: manager})
		if err == nil && mended(before, edited, false) {
			err = fmt.Errorf("the edit changes nothing in %s: %s", name, e.patch)
		}
	}
	if err != nil {
		return 0, err
	}
	for time.Since(begun) < patience && ctx.Err() == nil {
		now, err := objects.Get(ctx, name, metav1.GetOptions{})
		if err == nil && mended(before, now, e.patch == "") {
			return time.Since(begun), nil
		}
		if err := b.alive(); err != nil {
			return 0, err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return patience, ctx.Err()
}

// mended says whether an object is again what it was, apart from what servers and other managers write by themselves.
func mended(before, now *unstructured.Unstructured, anew bool) bool {
	if anew {
		return before.GetUID() != now.GetUID() && now.GetDeletionTimestamp() == nil
	}
	return reflect.DeepEqual(owned(before), owned(now))
}

func owned(object *unstructured.Unstructured) map[string]any {
	kept := map[string]any{"labels": object.GetLabels(), "owners": object.GetOwnerReferences()}
	for field, value := range object.Object {
		switch field {
		case "metadata", "status":
		default:
			kept[field] = value
		}
	}
	return kept
}
