package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	nNodes = 10
	// digest is what the verified model "has"; no file stands behind it.
	digest = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	// statusPort is alcazar-contract's PROBE_PORT.
	statusPort = "8081"
)

// simulate starts kwok, makes nodes, and answers for all pods on the port where the operator asks them.
func (b *bench) simulate(ctx context.Context) error {
	var err error
	b.kwok, err = startProcess(b.file("kwok.log"), nil, filepath.Join(b.programs, "kwok"), "--kubeconfig", b.kubeconfig, "--config", b.stages)
	if err != nil {
		return err
	}
	for i := range nNodes {
		name := fmt.Sprintf("simulated-%d", i)
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"}, Labels: map[string]string{"kubernetes.io/hostname": name}},
			// A network of its own for each node. All of them are addresses of this machine, in the network namespace that bench.sh makes.
			Spec: corev1.NodeSpec{PodCIDR: fmt.Sprintf("10.%d.0.0/20", 100+i)},
		}
		if _, err := b.typed.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("failed to make a node: %w", err)
		}
	}
	if err := b.answerForPods(); err != nil {
		return err
	}
	return eventually(ctx, time.Minute, "the simulated nodes to be ready", func() (bool, error) {
		nodes, err := b.typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		ready := 0
		for _, node := range nodes.Items {
			for _, c := range node.Status.Conditions {
				if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
					ready++
				}
			}
		}
		return ready >= nNodes, nil
	})
}

// answerForPods says what a model pod says of itself: alcazar-contract's ServeStatus.
func (b *bench) answerForPods() error {
	body, err := json.Marshal(map[string]any{
		"ready": true, "reason": "", "message": "", "digest": digest, "device": "CPU", "layersOffloaded": 30, "layersTotal": 30,
		"loadMilliseconds": 900, "prefillTokensPerSecond": 400, "decodeTokensPerSecond": 60,
		"isolation": map[string]any{"blockedRounds": 5, "reached": []string{}, "secondsSinceLastRound": 2},
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", ":"+statusPort)
	if err != nil {
		return fmt.Errorf("failed to answer for the simulated pods: %w", err)
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})}
	go func() { log.Print(server.Serve(listener)) }()
	return nil
}

const modelText = `
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: %[1]s}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce, ReadOnlyMany]
  storageClassName: ""
  claimRef: {namespace: %[1]s, name: weights}
  hostPath: {path: /nowhere}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: weights, namespace: %[1]s}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: ""
  resources: {requests: {storage: 1Gi}}
---
apiVersion: alcazar.dev/v1alpha1
kind: LlmModel
metadata: {name: shared, namespace: %[1]s}
spec:
  source:
    persistentVolumeClaim: {claimName: weights}
`

// makeModel makes a namespace with one verified model that all deployments of a phase share.
func (b *bench) makeModel(ctx context.Context, namespace string) error {
	if err := b.applyText(ctx, fmt.Sprintf(modelText, namespace)); err != nil {
		return err
	}
	if err := eventually(ctx, time.Minute, "the claim to be bound", func() (bool, error) {
		claim, err := b.typed.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, "weights", metav1.GetOptions{})
		return err == nil && claim.Status.Phase == corev1.ClaimBound, err
	}); err != nil {
		return err
	}
	if err := b.completeVerification(ctx, namespace); err != nil {
		return err
	}
	return eventually(ctx, time.Minute, "the model to be ready", func() (bool, error) {
		model, err := b.dynamic.Resource(llmModels).Namespace(namespace).Get(ctx, "shared", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		status, reason := condition(model, "Ready")
		return status == "True", fmt.Errorf("ready is %q, %s", status, reason)
	})
}

// completeVerification ends the Job's pod as a kubelet would after a verification that went well.
func (b *bench) completeVerification(ctx context.Context, namespace string) error {
	pods := b.typed.CoreV1().Pods(namespace)
	return eventually(ctx, time.Minute, "the pod that verifies the model", func() (bool, error) {
		found, err := pods.List(ctx, metav1.ListOptions{LabelSelector: "alcazar.dev/model=shared"})
		if err != nil || len(found.Items) == 0 {
			return false, err
		}
		pod := found.Items[0]
		message, err := json.Marshal(map[string]any{"sealed": map[string]any{
			"digest": digest, "path": "", "sizeBytes": 98362432, "format": "GGUF", "architecture": "llama", "parameterCount": 134515008, "contextLength": 8192,
		}})
		if err != nil {
			return false, err
		}
		now := metav1.Now()
		status := corev1.PodStatus{Phase: corev1.PodSucceeded}
		for _, container := range pod.Spec.Containers {
			status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
				Name: container.Name, Image: container.Image,
				State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: string(message), Reason: "Completed", StartedAt: now, FinishedAt: now}},
			})
		}
		patch, err := json.Marshal(map[string]any{"status": status})
		if err != nil {
			return false, err
		}
		_, err = pods.Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: manager}, "status")
		return err == nil, err
	})
}
