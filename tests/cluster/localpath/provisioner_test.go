package localpath

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

type fakeMounter struct {
	mounted map[string]int64
	fail    error
}

func (f *fakeMounter) mountTmpfs(dir string, bytes int64) error {
	if f.fail == nil {
		f.mounted[dir] = bytes
	}
	return f.fail
}

func (f *fakeMounter) unmount(dir string) error {
	delete(f.mounted, dir)
	return nil
}

func options(mode corev1.PersistentVolumeAccessMode, backing string) controller.ProvisionOptions {
	policy := corev1.PersistentVolumeReclaimDelete
	return controller.ProvisionOptions{
		PVName:           "pvc-1",
		SelectedNodeName: "node1",
		StorageClass:     &storagev1.StorageClass{ReclaimPolicy: &policy, Parameters: map[string]string{"backing": backing}},
		PVC: &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{mode},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		}},
	}
}

func TestAVolumeIsMadeAndRemoved(t *testing.T) {
	p := &provisioner{root: t.TempDir(), mounter: &fakeMounter{mounted: map[string]int64{}}}
	volume, _, err := p.Provision(context.Background(), options(corev1.ReadWriteOnce, ""))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(p.root, "pvc-1")
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Fatalf("directory of the volume: %v, %v", info, err)
	}
	if volume.Spec.Local.Path != dir {
		t.Errorf("path %s, expected %s", volume.Spec.Local.Path, dir)
	}
	if err := p.Delete(context.Background(), volume); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
}

func TestAHardLimitIsAMountOfTheClaimedSize(t *testing.T) {
	mounts := &fakeMounter{mounted: map[string]int64{}}
	p := &provisioner{root: t.TempDir(), mounter: mounts}
	volume, _, err := p.Provision(context.Background(), options(corev1.ReadWriteOnce, "tmpfs"))
	if err != nil {
		t.Fatal(err)
	}
	if got := mounts.mounted[volume.Spec.Local.Path]; got != 1<<20 {
		t.Errorf("mounted %d bytes, expected %d", got, 1<<20)
	}
	if err := p.Delete(context.Background(), volume); err != nil {
		t.Fatal(err)
	}
	if len(mounts.mounted) != 0 {
		t.Errorf("still mounted: %v", mounts.mounted)
	}
}

func TestAFailedMountLeavesNoDirectoryThatLooksLikeAVolume(t *testing.T) {
	p := &provisioner{root: t.TempDir(), mounter: &fakeMounter{fail: errors.New("no")}}
	if _, _, err := p.Provision(context.Background(), options(corev1.ReadWriteOnce, "tmpfs")); err == nil {
		t.Fatal("expected an error")
	}
	if _, err := os.Stat(filepath.Join(p.root, "pvc-1")); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
}

func TestWhatIsNotSupportedIsRefused(t *testing.T) {
	p := &provisioner{root: t.TempDir(), mounter: &fakeMounter{}}
	if _, _, err := p.Provision(context.Background(), options(corev1.ReadWriteMany, "")); err == nil {
		t.Error("ReadWriteMany was accepted")
	}
	if _, _, err := p.Provision(context.Background(), options(corev1.ReadWriteOnce, "floppy")); err == nil {
		t.Error("an unknown backing was accepted")
	}
}

func TestForeignPathsAreNeverRemoved(t *testing.T) {
	p := &provisioner{root: t.TempDir(), mounter: &fakeMounter{}}
	outside := t.TempDir()
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pvc-1"},
		Spec:       corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: outside}}},
	}
	var ignored *controller.IgnoredError
	if err := p.Delete(context.Background(), volume); !errors.As(err, &ignored) {
		t.Errorf("expected it to be ignored, got %v", err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}
