// Command bench measures what the operator costs the control plane: a real API server, simulated nodes and pods (kwok), the operator as a plain process that may do only what the chart's RBAC allows.
//
// Object changes are taken from watches, calls from the API server's audit log. It writes a list of {name, value, unit, goal, met}; tests/cluster/bench.sh starts all it needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// settings is the command line.
type settings struct {
	kubeconfig string
	state      string
	programs   string
	operator   string
	chart      string
	crds       string
	stages     string
	out        string
	work       string
	small      int
	large      int
	idle       time.Duration
}

func main() {
	var s settings
	flag.StringVar(&s.kubeconfig, "kubeconfig", "", "an administrator's, of an API server without nodes")
	flag.StringVar(&s.state, "state", "", "the cluster's folder, for its certificate authority and its audit log")
	flag.StringVar(&s.programs, "programs", "target/cluster-bin", "where kwok and helm lie")
	flag.StringVar(&s.operator, "operator", "target/release/alcazar-operator", "the program to measure")
	flag.StringVar(&s.chart, "chart", "charts/alcazar", "whose RBAC and settings the operator runs under")
	flag.StringVar(&s.crds, "crds", "crds/yaml", "the kinds")
	flag.StringVar(&s.stages, "stages", "tests/cluster/bench/stages.yaml", "what the simulated nodes and pods do")
	flag.StringVar(&s.out, "out", "target/bench/operator.json", "the figures")
	flag.StringVar(&s.work, "work", "target/bench/work", "logs and files of the run")
	flag.IntVar(&s.small, "small", 100, "deployments in the measurements at N=100")
	flag.IntVar(&s.large, "large", 500, "deployments in the measurements at N=500; 0 leaves them out")
	flag.DurationVar(&s.idle, "idle", time.Minute, "how long to count calls while nothing happens (the full measurement: 10m)")
	flag.Parse()
	log.SetFlags(log.Ltime)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	results := &report{}
	err := measure(ctx, s, results)
	if writeErr := results.write(s.out); writeErr != nil && err == nil {
		err = writeErr
	}
	results.print(os.Stdout)
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// measure runs all phases. What was measured before a failure is in the report all the same.
func measure(ctx context.Context, s settings, results *report) error {
	size, err := os.Stat(s.operator)
	if err != nil {
		return fmt.Errorf("failed to find the operator (cargo build --release -p alcazar-operator): %w", err)
	}
	results.atMost("binary size", mebibytes(size.Size()), "MiB", 20)
	if load, found := machineLoad(); found {
		results.tell("load of the machine before the run (1 minute)", load, "")
	}
	b, err := prepare(ctx, s, results)
	if err != nil {
		return err
	}
	defer b.close()
	// A phase that fails must not hide what the others would show.
	failure := phase("N="+strconv.Itoa(s.small), b.steady(ctx, "small", s.small))
	failure = errors.Join(failure, phase("kill -9", b.crash(ctx, s.small)))
	if s.large > 0 {
		failure = errors.Join(failure, phase("N="+strconv.Itoa(s.large), b.steady(ctx, "large", s.large)))
	}
	return failure
}

func phase(name string, err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
		log.Print(err)
	}
	return err
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// machineLoad is what else the machine was doing: figures of a busy one are not the operator's.
func machineLoad() (float64, bool) {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, false
	}
	first, _, _ := strings.Cut(string(content), " ")
	load, err := strconv.ParseFloat(first, 64)
	return load, err == nil
}
