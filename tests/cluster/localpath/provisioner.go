package localpath

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// mounter is the part of the kernel that a volume with a hard limit needs.
type mounter interface {
	mountTmpfs(dir string, bytes int64) error
	unmount(dir string) error
}

type kernel struct{}

func (kernel) mountTmpfs(dir string, bytes int64) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("size=%d,mode=0755", bytes))
}

func (kernel) unmount(dir string) error {
	// EINVAL says that nothing is mounted there: an ordinary directory, or one that was unmounted before.
	if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil && err != syscall.EINVAL && err != syscall.ENOENT {
		return err
	}
	return nil
}

type provisioner struct {
	root    string
	mounter mounter
}

// Provision makes the directory of one claim and describes it as a volume.
func (p *provisioner) Provision(_ context.Context, options controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	claim := options.PVC
	if claim.Spec.VolumeMode != nil && *claim.Spec.VolumeMode == corev1.PersistentVolumeBlock {
		return nil, controller.ProvisioningFinished, fmt.Errorf("volumeMode Block is not supported: ask for Filesystem")
	}
	for _, mode := range claim.Spec.AccessModes {
		if mode != corev1.ReadWriteOnce && mode != corev1.ReadWriteOncePod {
			return nil, controller.ProvisioningFinished, fmt.Errorf("accessMode %s is not supported: ask for ReadWriteOnce or ReadWriteOncePod", mode)
		}
	}
	if options.SelectedNodeName == "" {
		return nil, controller.ProvisioningFinished, fmt.Errorf("no node was selected: the StorageClass must have volumeBindingMode WaitForFirstConsumer")
	}
	size := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	dir := filepath.Join(p.root, options.PVName)
	if err := p.makeDirectory(dir, size.Value(), options.StorageClass.Parameters["backing"]); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: size},
			AccessModes:                   slices.Clone(claim.Spec.AccessModes),
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			MountOptions:                  options.StorageClass.MountOptions,
			VolumeMode:                    claim.Spec.VolumeMode,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: dir}},
			NodeAffinity:                  onlyOn(options.SelectedNodeName),
		},
	}, controller.ProvisioningFinished, nil
}

func (p *provisioner) makeDirectory(dir string, bytes int64, backing string) error {
	if backing != "" && backing != "tmpfs" {
		return fmt.Errorf("backing %q of the StorageClass is unknown: write tmpfs, or leave it out", backing)
	}
	if err := os.Mkdir(dir, 0o755); os.IsExist(err) {
		return nil // an earlier attempt got this far
	} else if err != nil {
		return fmt.Errorf("failed to make the directory of the volume: %w", err)
	}
	if backing == "tmpfs" {
		if err := p.mounter.mountTmpfs(dir, bytes); err != nil {
			_ = os.Remove(dir)
			return fmt.Errorf("failed to mount a memory file system for the volume: %w", err)
		}
	}
	return nil
}

// Delete removes the directory of a volume, and never anything outside the root.
func (p *provisioner) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	dir := filepath.Join(p.root, volume.Name)
	if volume.Spec.Local == nil || volume.Spec.Local.Path != dir {
		return &controller.IgnoredError{Reason: "the volume does not lie where this provisioner makes volumes"}
	}
	if err := p.mounter.unmount(dir); err != nil {
		return fmt.Errorf("failed to unmount the volume: %w", err)
	}
	return os.RemoveAll(dir)
}

func onlyOn(node string) *corev1.VolumeNodeAffinity {
	return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{
			Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
		}},
	}}}}
}
