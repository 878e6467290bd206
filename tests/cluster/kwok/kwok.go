// Package kwok simulates nodes and the pods on them: it runs the controllers of kwok, so that a thousand pods cost no container.
//
// kwok's own program is not used because its server, which fakes logs and exec, wants other Kubernetes packages than the rest of this module.
package kwok

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/client/clientset/versioned"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	"sigs.k8s.io/kwok/pkg/utils/client"
	"sigs.k8s.io/kwok/pkg/utils/slices"
)

// Main plays the stages of every node with the annotation kwok.x-k8s.io/node=fake, and of its pods, until it is told to end.
func Main(args []string) error {
	flags := flag.NewFlagSet("kwok", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "file that says how to reach the API server")
	stages := flags.String("config", "", "file with kwok Stages (default: nodes and pods get ready at once, pods of Jobs complete)")
	selector := flags.String("manage-nodes-with-annotation-selector", "kwok.x-k8s.io/node=fake", "which nodes to simulate")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	played, err := loadStages(ctx, *stages)
	if err != nil {
		return err
	}
	settings, err := settingsFor(ctx, *kubeconfig)
	if err != nil {
		return err
	}
	settings.LocalStages = played
	settings.ManageNodesWithAnnotationSelector = *selector
	controller, err := controllers.NewController(settings)
	if err != nil {
		return fmt.Errorf("failed to make the controllers: %w", err)
	}
	if err := controller.Start(ctx); err != nil {
		return fmt.Errorf("failed to start the controllers: %w", err)
	}
	fmt.Fprintln(os.Stderr, "simulating nodes with", *selector)
	<-ctx.Done()
	return nil
}

// loadStages groups the stages of the file, or the quickest of kwok's own, by the kind they are for.
func loadStages(ctx context.Context, file string) (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	var stages []*internalversion.Stage
	if file != "" {
		objects, err := config.Load(ctx, file)
		if err != nil {
			return nil, fmt.Errorf("failed to read the stages: %w", err)
		}
		stages = config.FilterWithType[*internalversion.Stage](objects)
		if len(stages) == 0 {
			return nil, fmt.Errorf("%s holds no Stage", file)
		}
	} else {
		for _, text := range []string{
			fast.DefaultNodeInit, heartbeat.DefaultNodeHeartbeatWithLease,
			podfast.DefaultPodReady, podfast.DefaultPodComplete, podfast.DefaultPodDelete,
		} {
			stage, err := config.UnmarshalWithType[*internalversion.Stage](text)
			if err != nil {
				return nil, fmt.Errorf("failed to read a stage of kwok's own: %w", err)
			}
			stages = append(stages, stage)
		}
	}
	return slices.GroupBy(stages, func(stage *internalversion.Stage) internalversion.StageResourceRef {
		return stage.Spec.ResourceRef
	}), nil
}

// settingsFor has kwok's defaults and a client of each sort that its controllers want.
func settingsFor(ctx context.Context, kubeconfig string) (settings controllers.Config, err error) {
	clients, err := client.NewClientset("", kubeconfig)
	if err != nil {
		return settings, fmt.Errorf("failed to read the kubeconfig: %w", err)
	}
	connection, err := clients.ToRESTConfig()
	if err != nil {
		return settings, err
	}
	defaults := config.GetKwokConfiguration(ctx).Options
	settings = controllers.Config{
		Clock:                           clock.RealClock{},
		ImpersonatingDynamicClient:      clients.ToImpersonatingDynamicClient(),
		ImpersonatingTypedClient:        clients.ToImpersonatingTypedClient(),
		CIDR:                            defaults.CIDR,
		NodeIP:                          defaults.NodeIP,
		PodPlayStageParallelism:         defaults.PodPlayStageParallelism,
		NodePlayStageParallelism:        defaults.NodePlayStageParallelism,
		NodeLeaseDurationSeconds:        defaults.NodeLeaseDurationSeconds,
		NodeLeaseParallelism:            defaults.NodeLeaseParallelism,
		PodsOnNodeSyncParallelism:       defaults.PodsOnNodeSyncParallelism,
		EnablePodsOnNodeSyncListPager:   defaults.EnablePodsOnNodeSyncListPager,
		EnablePodsOnNodeSyncStreamWatch: defaults.EnablePodsOnNodeSyncStreamWatch,
	}
	if settings.ID, err = controllers.Identity(); err != nil {
		return settings, err
	}
	if settings.DynamicClient, err = clients.ToDynamicClient(); err != nil {
		return settings, err
	}
	if settings.RESTMapper, err = clients.ToRESTMapper(); err != nil {
		return settings, err
	}
	if settings.RESTClient, err = rest.RESTClientFor(connection); err != nil {
		return settings, err
	}
	if settings.TypedClient, err = kubernetes.NewForConfig(connection); err != nil {
		return settings, err
	}
	settings.TypedKwokClient, err = versioned.NewForConfig(connection)
	return settings, err
}
