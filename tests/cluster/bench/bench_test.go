package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func line(user, verb, resource, sub string, code int) string {
	return fmt.Sprintf(`{"kind":"Event","stage":"ResponseComplete","verb":%q,"user":{"username":%q},"objectRef":{"resource":%q,"subresource":%q},"responseStatus":{"code":%d},"stageTimestamp":"2026-11-22T10:00:00.5Z"}`+"\n", verb, user, resource, sub, code)
}

func TestAuditCountsOneUser(t *testing.T) {
	a := audit{user: operatorUser}
	log := line(operatorUser, "create", "services", "", 201) +
		line(operatorUser, "patch", "llmdeployments", "status", 200) +
		line(operatorUser, "patch", "deployments", "", 409) +
		line(operatorUser, "get", "secrets", "", 200) +
		line(operatorUser, "update", "leases", "", 200) +
		line("admin", "create", "services", "", 201) +
		// Somebody else who names the operator is not the operator.
		line("admin", "impersonate", operatorUser, "", 201) +
		strings.Replace(line(operatorUser, "watch", "pods", "", 200), "ResponseComplete", "ResponseStarted", 1) +
		strings.Replace(line(operatorUser, "patch", "services", "", 200), `"stage"`, `"requestURI":"/api/v1/namespaces/a/services/x?dryRun=All&force=true","stage"`, 1) +
		`{"half a line`
	found, err := a.count(strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	if found.all != 5 || found.dry != 1 || found.writes != 3 || found.leases != 1 || found.failed != 1 {
		t.Errorf("%s", found)
	}
	if found.by["patch llmdeployments/status"] != 1 || found.last.IsZero() {
		t.Errorf("%+v", found)
	}
}

func TestAuditReadsFromAMark(t *testing.T) {
	a := audit{user: operatorUser, path: filepath.Join(t.TempDir(), "audit.log")}
	if _, err := a.now(); err == nil {
		t.Error("a log that is not there was found")
	}
	first := line(operatorUser, "create", "services", "", 201)
	if err := os.WriteFile(a.path, []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	from, err := a.now()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.path, []byte(first+line(operatorUser, "delete", "jobs", "", 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := a.since(from); err != nil || found.all != 1 || found.by["delete jobs"] != 1 {
		t.Errorf("%s, %v", found, err)
	}
}

func TestPercentileIsAMeasuredValue(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i))
	}
	for _, c := range []struct {
		values  []time.Duration
		percent float64
		want    time.Duration
	}{
		{nil, 50, 0}, {hundred[:1], 99, 100}, {hundred, 50, 50}, {hundred, 99, 99}, {hundred, 100, 100}, {hundred, 0, 1},
	} {
		if got := percentile(c.values, c.percent); got != c.want {
			t.Errorf("p%g of %d: %d instead of %d", c.percent, len(c.values), got, c.want)
		}
	}
}

func TestReportSaysWhichGoalsAreMet(t *testing.T) {
	r := &report{}
	r.atMost("a", 1, "s", 1)
	r.atMost("b", 1.0004, "s", 1)
	r.atMost("c", 1.1, "s", 1)
	r.tell("d", 5, "s")
	path := filepath.Join(t.TempDir(), "x", "operator.json")
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var figures []map[string]any
	if err := json.Unmarshal(content, &figures); err != nil {
		t.Fatal(err)
	}
	for i, want := range []any{true, false, false, nil} {
		if len(figures[i]) != 5 || figures[i]["met"] != want {
			t.Errorf("%v", figures[i])
		}
	}
	var out strings.Builder
	r.print(&out)
	if !strings.Contains(out.String(), "4 figures, 2 goals missed") {
		t.Error(out.String())
	}
}

func TestMendedLooksAtWhatIsOwned(t *testing.T) {
	make := func(change func(map[string]any)) *unstructured.Unstructured {
		object := map[string]any{
			"metadata": map[string]any{"name": "a", "uid": "1", "resourceVersion": "1", "labels": map[string]any{"x": "y"}},
			"spec":     map[string]any{"image": "good"},
			"status":   map[string]any{"ready": int64(1)},
		}
		change(object)
		return &unstructured.Unstructured{Object: object}
	}
	before := make(func(map[string]any) {})
	for name, c := range map[string]struct {
		change func(map[string]any)
		anew   bool
		want   bool
	}{
		"the same": {func(map[string]any) {}, false, true},
		"status and version": {func(o map[string]any) {
			o["status"] = nil
			o["metadata"].(map[string]any)["resourceVersion"] = "9"
		}, false, true},
		"spec":           {func(o map[string]any) { o["spec"] = map[string]any{"image": "bad"} }, false, false},
		"labels":         {func(o map[string]any) { delete(o["metadata"].(map[string]any), "labels") }, false, false},
		"data":           {func(o map[string]any) { o["data"] = "x" }, false, false},
		"not made again": {func(map[string]any) {}, true, false},
		"made again":     {func(o map[string]any) { o["metadata"].(map[string]any)["uid"] = "2" }, true, true},
		"still going":    {func(o map[string]any) { o["metadata"].(map[string]any)["deletionTimestamp"] = "2026-11-22T10:00:00Z" }, true, false},
	} {
		if got := mended(before, make(c.change), c.anew); got != c.want {
			t.Errorf("%s: mended is %t", name, got)
		}
	}
}

func TestSurplusCountsWhatShouldNotBe(t *testing.T) {
	tr := &tracker{children: map[string]map[string]time.Time{"d1": {}}, sets: map[string]string{"replicasets/d1-1": "d1"}}
	for i := range nChildren() {
		tr.children["d1"][fmt.Sprint(i)] = time.Now()
	}
	if n := tr.surplus(1); n != 0 {
		t.Errorf("%d too many", n)
	}
	if n, _ := tr.complete(); n != 1 {
		t.Errorf("%d complete", n)
	}
	tr.sets["replicasets/d1-2"] = "d1"
	if n := tr.surplus(1); n != 1 {
		t.Errorf("%d too many instead of 1", n)
	}
}

func TestInParallelDoesEachOnceAndKeepsErrors(t *testing.T) {
	seen := make([]bool, 50)
	err := inParallel(len(seen), func(i int) error {
		seen[i] = true
		if i == 7 {
			return errors.New("seven")
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "seven") {
		t.Errorf("%v", err)
	}
	for i, done := range seen {
		if !done {
			t.Errorf("%d was left out", i)
		}
	}
}
