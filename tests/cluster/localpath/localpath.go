// Package localpath is the storage of the rig: it makes a directory of the host for each claim of its classes and removes it with the volume.
//
// A volume is root:root 0755 and of the type "local", as a fresh block volume is: only fsGroup makes it writable for a pod that is not root.
// With the class parameter backing=tmpfs the volume is a memory file system of exactly the claimed size, for tests of a full disk.
package localpath

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// provisionerName is what storage classes name; it is that of the well-known local-path-provisioner, whose place this takes.
const provisionerName = "rancher.io/local-path"

// Main serves claims until it is told to end.
func Main(args []string) error {
	flags := flag.NewFlagSet("local-path", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "file that says how to reach the API server")
	root := flags.String("root", "", "directory of the host under which the volumes lie")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *root == "" {
		return errors.New("--root is missing: name the directory for the volumes")
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return fmt.Errorf("failed to read the kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("failed to make a client: %w", err)
	}
	// The parent is closed to everybody else: the volumes themselves are world-readable, as block volumes are inside a pod.
	if err := os.MkdirAll(*root, 0o711); err != nil {
		return fmt.Errorf("failed to make the directory for the volumes: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	controller.NewProvisionController(ctx, client, provisionerName, &provisioner{root: *root, mounter: kernel{}},
		controller.LeaderElection(false), controller.MetricsPort(0)).Run(ctx)
	return nil
}
