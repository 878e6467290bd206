// Command cluster is the control plane and the node agents of a Kubernetes cluster, and the small parts of the test rig, in one binary.
//
// The component is chosen by argv[0], so that links named as the components work, or by the first argument.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"alcazar.dev/cluster/kwok"
	"alcazar.dev/cluster/localpath"
	"alcazar.dev/cluster/policy"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	name, args := component(os.Args)
	os.Args = append([]string{name}, args...)
	switch name {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllermanager.NewControllerManagerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "kubelet":
		os.Exit(cli.Run(kubelet.NewKubeletCommand(context.Background())))
	case "kube-proxy":
		os.Exit(cli.Run(proxy.NewProxyCommand()))
	case "kubectl":
		runKubectl()
	case "kwok":
		exit(kwok.Main(args))
	case "local-path":
		exit(localpath.Main(args))
	case "policy":
		os.Exit(policy.Main(args))
	default:
		exit(fmt.Errorf("unknown component %q", name))
	}
}

// component says what to be, and what is left for its own arguments.
func component(argv []string) (name string, args []string) {
	name, args = filepath.Base(argv[0]), argv[1:]
	if name == "cluster" && len(args) > 0 {
		name, args = args[0], args[1:]
	}
	return name, args
}

// runKubectl prints errors and chooses exit codes as kubectl itself does.
func runKubectl() {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
