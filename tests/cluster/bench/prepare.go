package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	operatorNamespace = "alcazar-system"
	// The name that the API server gives to the chart's service account: a client certificate of that name may do what the account may, and nothing else.
	operatorUser = "system:serviceaccount:" + operatorNamespace + ":alcazar-operator"
	listen       = "127.0.0.1:18080"
)

// bench is everything a phase needs.
type bench struct {
	settings
	*clients
	audit    audit
	results  *report
	kwok     *process
	operator *process
}

func prepare(ctx context.Context, s settings, results *report) (*bench, error) {
	if err := os.MkdirAll(s.work, 0o755); err != nil {
		return nil, err
	}
	c, err := connect(s.kubeconfig)
	if err != nil {
		return nil, err
	}
	b := &bench{settings: s, clients: c, results: results, audit: audit{path: filepath.Join(s.state, "audit.log"), user: operatorUser}}
	for _, step := range []func(context.Context) error{b.install, b.simulate} {
		if err := step(ctx); err != nil {
			b.close()
			return nil, fmt.Errorf("failed to prepare: %w", err)
		}
	}
	return b, nil
}

func (b *bench) close() {
	b.operator.end(syscall.SIGTERM)
	b.kwok.end(syscall.SIGTERM)
}

// install brings the kinds, and of the chart what the operator needs as a plain process: RBAC, and the settings as a file.
func (b *bench) install(ctx context.Context) error {
	if err := b.applyFolder(ctx, b.crds); err != nil {
		return err
	}
	if err := b.awaitKinds(ctx); err != nil {
		return err
	}
	rendered, err := b.render()
	if err != nil {
		return err
	}
	if err := b.applyText(ctx, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+operatorNamespace+"}\n"); err != nil {
		return err
	}
	config := ""
	for _, object := range rendered {
		switch object.GetKind() {
		case "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding":
			if err := b.apply(ctx, object); err != nil {
				return err
			}
		case "ConfigMap":
			if text, found, _ := unstructured.NestedString(object.Object, "data", "settings.yaml"); found {
				config = text
			}
		}
	}
	if config == "" {
		return fmt.Errorf("%s renders no ConfigMap with settings.yaml", b.chart)
	}
	if err := os.WriteFile(b.file("settings.yaml"), []byte(config), 0o644); err != nil {
		return err
	}
	return b.issueIdentity()
}

func (b *bench) render() ([]*unstructured.Unstructured, error) {
	version, err := b.typed.Discovery().ServerVersion()
	if err != nil {
		return nil, err
	}
	command := exec.Command(filepath.Join(b.programs, "helm"), "template", "alcazar", b.chart, "--namespace", operatorNamespace, "--kube-version", version.GitVersion, "--set", "crds.install=false")
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("failed to render the chart: %w: %s", err, problems.String())
	}
	return parse(&out)
}

func (b *bench) awaitKinds(ctx context.Context) error {
	for _, name := range []string{"llmdeployments.alcazar.dev", "llmmodels.alcazar.dev", "llmapikeys.alcazar.dev", "llmvpnpeers.alcazar.dev"} {
		if err := eventually(ctx, 30*time.Second, "the kind "+name+" to be served", func() (bool, error) {
			found, err := b.dynamic.Resource(crds).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			status, _ := condition(found, "Established")
			return status == "True", nil
		}); err != nil {
			return err
		}
	}
	b.mapper.Reset()
	return nil
}

func (b *bench) file(name string) string { return filepath.Join(b.work, name) }

// start runs the operator and returns once it is ready; it leads a moment later.
func (b *bench) start(ctx context.Context) error {
	operator, err := startProcess(b.file("operator.log"), []string{
		"KUBECONFIG=" + b.file("operator.kubeconfig"),
		"POD_NAMESPACE=" + operatorNamespace,
		"POD_NAME=bench",
		"POD_UID=bench",
		"KUBERNETES_SERVICE_HOST=10.96.0.1",
		"KUBERNETES_SERVICE_PORT=443",
	}, b.settings.operator, "run", "--settings", b.file("settings.yaml"), "--listen", listen)
	if err != nil {
		return err
	}
	b.operator = operator
	if err := operator.awaitReady(ctx, "http://"+listen+"/readyz"); err != nil {
		return fmt.Errorf("the operator: %w", err)
	}
	return nil
}

// alive is an error once the operator has ended by itself.
func (b *bench) alive() error {
	if b.operator == nil {
		return nil
	}
	select {
	case <-b.operator.done:
		return fmt.Errorf("the operator ended by itself: see %s", b.operator.log)
	default:
		return nil
	}
}

// eventually asks until it is true, and tells the last error when it never is.
func eventually(ctx context.Context, within time.Duration, what string, holds func() (bool, error)) error {
	deadline := time.Now().Add(within)
	var last error
	for {
		done, err := holds()
		if done {
			return nil
		}
		last = err
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("waited %s in vain for %s (last error: %v)", within, what, last)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// condition is the status and the reason of a condition; empty if there is none.
func condition(object *unstructured.Unstructured, kind string) (status, reason string) {
	list, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, entry := range list {
		if fields, ok := entry.(map[string]any); ok && fields["type"] == kind {
			status, _ = fields["status"].(string)
			reason, _ = fields["reason"].(string)
			return status, reason
		}
	}
	return "", ""
}
