package kwok

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

func TestTheDefaultStagesAreForNodesAndPods(t *testing.T) {
	stages, err := loadStages(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for ref, list := range stages {
		found[ref.Kind] += len(list)
	}
	if found["Node"] != 2 || found["Pod"] != 3 {
		t.Errorf("stages %v, expected 2 for nodes and 3 for pods", found)
	}
}

func TestAFileWithoutStagesIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "empty.yaml")
	if err := os.WriteFile(file, []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadStages(context.Background(), file); err == nil {
		t.Error("it was accepted")
	}
}
