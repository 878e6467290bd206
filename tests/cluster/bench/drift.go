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
	// Secrets are not watched: the next pass mends one, if it was last read this long ago (docs/operations.md).
	unread = 30 * time.Second
	// nudge is how often a pass is asked for while a Secret is not mended.
	nudge = time.Second
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
}

var secretEdits = []edit{
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
			took, err := b.mend(ctx, namespace, name, e, patience, func() error { return nil })
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
	if err := b.secretDrift(ctx, namespace, n); err != nil {
		return err
	}
	if err := b.quiet(ctx, 2*time.Minute); err != nil {
		// A Secret that was not mended in time may be so later; the figures above say it.
		log.Printf("after the edits: %v", err)
	}
	return nil
}

// secretDrift edits Secrets, of which no watch tells, and asks for passes as any change of the deployment does.
func (b *bench) secretDrift(ctx context.Context, namespace string, n int) error {
	for i, e := range secretEdits {
		name := fmt.Sprintf("d%03d", (len(edits)*samples+i)%n)
		last := time.Time{}
		pass := func() error {
			if time.Since(last) < nudge {
				return nil
			}
			last = time.Now()
			note := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.com/look":"%d"}}}`, last.UnixNano())
			_, err := b.dynamic.Resource(llmDeployments).Namespace(namespace).Patch(ctx, name, types.MergePatchType, note, metav1.PatchOptions{FieldManager: manager})
			return err
		}
		took, err := b.mend(ctx, namespace, name+e.suffix, e, 2*unread, pass)
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		b.results.atMost(at("drift, "+e.name+": restored by passes that follow", n), took.Seconds(), "s", (unread+nudge).Seconds()+drifted)
	}
	return nil
}

// mend edits an object and waits until it is as before; meanwhile it calls again what is to be done.
func (b *bench) mend(ctx context.Context, namespace, name string, e edit, patience time.Duration, again func() error) (time.Duration, error) {
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
		if e.resource == secrets && err == nil && e.patch != "" && reissued(before, now) {
			return time.Since(begun), nil
		}
		if err := again(); err != nil {
			return 0, err
		}
		if err := b.alive(); err != nil {
			return 0, err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return patience, ctx.Err()
}

// reissued says whether a Secret holds other content than the edit left, of the same kind as before: a damaged certificate is not brought back but signed anew.
func reissued(before, now *unstructured.Unstructured) bool {
	old, _, _ := unstructured.NestedString(before.Object, "data", "tls.crt")
	found, _, _ := unstructured.NestedString(now.Object, "data", "tls.crt")
	key, _, _ := unstructured.NestedString(now.Object, "data", "tls.key")
	former, _, _ := unstructured.NestedString(before.Object, "data", "tls.key")
	return len(found) > len(old)/2 && key != former
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
