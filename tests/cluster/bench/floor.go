package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// floor is what this API server needs for the same children when a plain client posts them and nobody looks after them:
// no operator can be faster on this machine.
func (b *bench) floor(ctx context.Context, _ *tracker, namespace string, n int) error {
	apart := namespace + "-floor"
	objects, err := b.copies(ctx, namespace, apart)
	if err != nil {
		return err
	}
	if err := b.applyText(ctx, fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", apart)); err != nil {
		return err
	}
	begun := time.Now()
	if err := inParallel(len(objects), func(i int) error {
		_, err := b.dynamic.Resource(objects[i].kind).Namespace(apart).Create(ctx, objects[i].object, metav1.CreateOptions{FieldManager: manager})
		return err
	}); err != nil {
		return err
	}
	b.results.tell(at("the same children posted by a plain client", n), time.Since(begun).Seconds(), "s")
	return b.clear(ctx, apart)
}

// clear takes all copies away, so that they do not load what is measured next.
func (b *bench) clear(ctx context.Context, namespace string) error {
	for _, kind := range copiedKinds {
		if err := b.dynamic.Resource(kind).Namespace(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
			return err
		}
	}
	if err := eventually(ctx, 5*time.Minute, "the copies' pods to be gone", func() (bool, error) {
		pods, err := b.typed.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{Limit: 1})
		return err == nil && len(pods.Items) == 0, err
	}); err != nil {
		return err
	}
	return b.typed.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{})
}

var copiedKinds = []schema.GroupVersionResource{accounts, secrets, services, networkPolicies, deployments}

type copied struct {
	kind   schema.GroupVersionResource
	object *unstructured.Unstructured
}

// copies are the children as their operator made them, less what the API server added and what marks them as ours.
func (b *bench) copies(ctx context.Context, from, to string) ([]copied, error) {
	var all []copied
	for _, kind := range copiedKinds {
		list, err := b.dynamic.Resource(kind).Namespace(from).List(ctx, metav1.ListOptions{LabelSelector: "alcazar.dev/deployment"})
		if err != nil {
			return nil, err
		}
		for i := range list.Items {
			object := &unstructured.Unstructured{Object: map[string]any{}}
			for field, value := range list.Items[i].Object {
				if field != "status" && field != "metadata" {
					object.Object[field] = value
				}
			}
			object.SetName(list.Items[i].GetName())
			object.SetNamespace(to)
			for _, address := range []string{"clusterIP", "clusterIPs"} {
				if list.Items[i].GetKind() == "Service" && object.Object["spec"].(map[string]any)["clusterIP"] != "None" {
					unstructured.RemoveNestedField(object.Object, "spec", address)
				}
			}
			all = append(all, copied{kind, object})
		}
	}
	return all, nil
}
