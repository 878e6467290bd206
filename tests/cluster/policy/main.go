// Package policy is the test rig's NetworkPolicy engine: it makes networking.k8s.io/v1 policies real, in both directions, for all pods on the rig's bridge.
//
// It is small on purpose and made for one node: it watches pods, namespaces and policies, compiles them into rules without IO (compile.go) and puts those into the kernel's packet filter (table.go).
// As with any engine, a pod's address is known only once the API tells it: for some hundred milliseconds a new pod is free. `--delay` makes that time longer, to test what depends on it.
package policy

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

type options struct {
	kubeconfig string
	bridge     string
	pidFile    string
	delay      time.Duration
	flush      bool
}

// Main runs the engine until SIGTERM, then takes its rules away. It returns the exit status.
// When it is killed the last rules stay, until the next start or `--flush`.
func Main(args []string) int {
	var o options
	flags := flag.NewFlagSet("policy", flag.ContinueOnError)
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "how to reach the API server")
	flags.StringVar(&o.bridge, "bridge", "kbr0", "the bridge that the pods are on")
	flags.StringVar(&o.pidFile, "pid-file", "", "where to write the process id once the rules stand; removed at the end")
	flags.DurationVar(&o.delay, "delay", 0, "ignore a pod's address for so long after it became known, as a slow engine does")
	flags.BoolVar(&o.flush, "flush", false, "take the rules of an earlier run away and exit")
	if err := flags.Parse(args); err != nil {
		return 64
	}
	if err := o.run(); err != nil {
		fmt.Fprintf(os.Stderr, "policy: %v\n", err)
		return 1
	}
	return 0
}

func (o options) run() (err error) {
	table := NewTable(o.bridge)
	if o.flush {
		return table.Remove()
	}
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return fmt.Errorf("failed to read the kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	if err := showBridgedTraffic(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	defer func() {
		err = errors.Join(err, table.Remove())
		if o.pidFile != "" {
			_ = os.Remove(o.pidFile)
		}
	}()
	return run(ctx, client, table, o.delay, o.announce)
}

func (o options) announce() {
	log.Print("policy: ready")
	if o.pidFile == "" {
		return
	}
	if err := os.WriteFile(o.pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		log.Printf("policy: failed to write the pid file: %v", err)
	}
}

// showBridgedTraffic makes the kernel run its IP hooks for traffic from pod to pod, which the bridge would else carry past every rule.
func showBridgedTraffic() error {
	for _, family := range []string{"iptables", "ip6tables"} {
		path := filepath.Join("/proc/sys/net/bridge", "bridge-nf-call-"+family)
		if err := os.WriteFile(path, []byte("1\n"), 0o644); err != nil {
			return fmt.Errorf("failed to let the packet filter see bridged traffic (is br_netfilter loaded?): %w", err)
		}
	}
	return nil
}
