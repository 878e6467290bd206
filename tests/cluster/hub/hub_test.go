package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

var weights = bytes.Repeat([]byte("0123456789"), 10_000)

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// serve lays out a small tree and serves it.
func serve(t *testing.T, files map[string]string) *httptest.Server {
	t.Helper()
	directory := t.TempDir()
	for name, content := range files {
		full := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	opened, err := openTree(directory)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(newHub(opened))
	t.Cleanup(server.Close)
	return server
}

func standard(t *testing.T) *httptest.Server {
	return serve(t, map[string]string{
		"o/r/" + commit + "/config.json":    "{}\n",
		"o/r/" + commit + "/m.gguf":         string(weights),
		"o/r/" + commit + "/sub/x.txt":      "x",
		"o/r/.refs":                         "main " + commit + "\n",
		"o/gated/" + commit + "/m.gguf":     "secret",
		"o/gated/.token":                    "# who may\nhf_good\nhf_known\n",
		"o/broken/" + commit + "/m.gguf":    string(weights),
		"o/broken/.fault":                   "# one rule a line\n@api status 503 2\nm.gguf status 500 3\n",
		"o/secret-outside/.token":           "hf_good",
		"o/html/" + commit + "/model.gguf":  "x",
		"o/html/.fault":                     "* html",
		"o/away/" + commit + "/model.gguf":  "x",
		"o/away/.fault":                     "*.gguf redirect http://169.254.169.254/latest/",
		"o/round/" + commit + "/model.gguf": "x",
		"o/round/.fault":                    "*.gguf loop",
	})
}

// ask sends one request and follows nothing.
func ask(t *testing.T, method, url string, headers ...string) (*http.Response, string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

func TestAnswers(t *testing.T) {
	server := standard(t)
	for _, c := range []struct {
		name, method, path string
		headers            []string
		status             int
		want               map[string]string
		body               string
	}{
		{"a small file at once", "GET", "/o/r/resolve/" + commit + "/config.json", nil, 200, map[string]string{"X-Repo-Commit": commit, "Etag": `"0967ef424bce6791893e9a57bb952f80fd536e93"`, "Accept-Ranges": "bytes"}, "{}\n"},
		{"in a folder", "GET", "/o/r/resolve/main/sub/x.txt", nil, 200, map[string]string{"X-Repo-Commit": commit}, "x"},
		{"a large one by redirect", "GET", "/o/r/resolve/" + commit + "/m.gguf", nil, 302, map[string]string{"X-Linked-Etag": `"` + digest(weights) + `"`, "X-Linked-Size": "100000", "X-Repo-Commit": commit}, ""},
		{"a large one's head", "HEAD", "/o/r/resolve/" + commit + "/m.gguf", nil, 302, map[string]string{"X-Linked-Size": "100000"}, ""},
		{"no such file", "GET", "/o/r/resolve/" + commit + "/none", nil, 404, map[string]string{"X-Error-Code": "EntryNotFound"}, "{\"error\":\"Entry not found\"}\n"},
		{"a directory is no file", "GET", "/o/r/resolve/" + commit + "/sub", nil, 404, map[string]string{"X-Error-Code": "EntryNotFound"}, "{\"error\":\"Entry not found\"}\n"},
		{"no such revision", "GET", "/o/r/resolve/abc/m.gguf", nil, 404, map[string]string{"X-Error-Code": "RevisionNotFound"}, "{\"error\":\"Invalid rev id: abc\"}\n"},
		{"no such repository, no token", "GET", "/api/models/o/none/revision/main", nil, 401, map[string]string{"X-Error-Code": "RepoNotFound"}, "{\"error\":\"Repository not found\"}\n"},
		{"no such repository, some token", "GET", "/api/models/o/none/revision/main", []string{"Authorization: Bearer x"}, 404, map[string]string{"X-Error-Code": "RepoNotFound"}, "{\"error\":\"Repository not found\"}\n"},
		{"gated, no token", "GET", "/o/gated/resolve/" + commit + "/m.gguf", nil, 401, map[string]string{"X-Error-Code": "GatedRepo"}, "{\"error\":\"Access to model o/gated is restricted. You must have access to it and be authenticated to access it.\"}\n"},
		{"gated, wrong token", "GET", "/o/gated/resolve/" + commit + "/m.gguf", []string{"Authorization: Bearer x"}, 401, map[string]string{"X-Error-Code": ""}, "{\"error\":\"Invalid credentials in Authorization header\"}\n"},
		{"gated, known but not admitted", "GET", "/o/gated/resolve/" + commit + "/m.gguf", []string{"Authorization: Bearer hf_known"}, 403, map[string]string{"X-Error-Code": "GatedRepo"}, "{\"error\":\"Access to model o/gated is restricted and you are not in the authorized list.\"}\n"},
		{"gated, admitted", "GET", "/o/gated/resolve/" + commit + "/m.gguf", []string{"Authorization: Bearer hf_good"}, 302, nil, ""},
		{"a plain file", "GET", "/files/o/gated/" + commit + "/m.gguf", []string{"Authorization: Bearer hf_good"}, 200, nil, "secret"},
		{"a plain file, no token", "GET", "/files/o/gated/" + commit + "/m.gguf", nil, 401, nil, "{\"error\":\"Access to model o/gated is restricted. You must have access to it and be authenticated to access it.\"}\n"},
		{"an unsigned address", "GET", "/cdn/o/r/" + commit + "/m.gguf", nil, 403, nil, "{\"error\":\"the signature of this address is missing or wrong\"}\n"},
		{"the token's file", "GET", "/files/o/r/" + commit + "/../../gated/.token", nil, 404, nil, "{\"error\":\"Entry not found\"}\n"},
		{"outside the tree", "GET", "/files/../../../../../etc/passwd", nil, 401, nil, "{\"error\":\"Repository not found\"}\n"},
		{"no writing", "PUT", "/o/r/resolve/main/m.gguf", nil, 405, nil, "{\"error\":\"only GET and HEAD are answered\"}\n"},
		{"a page instead of the file", "GET", "/o/html/resolve/" + commit + "/model.gguf", nil, 200, map[string]string{"Content-Type": "text/html; charset=utf-8"}, htmlPage},
		{"to the metadata address", "GET", "/o/away/resolve/" + commit + "/model.gguf", nil, 302, map[string]string{"Location": "http://169.254.169.254/latest/"}, "<a href=\"http://169.254.169.254/latest/\">Found</a>.\n\n"},
		{"round and round", "HEAD", "/o/round/resolve/" + commit + "/model.gguf?step=7", nil, 302, map[string]string{"Location": "/o/round/resolve/" + commit + "/model.gguf?step=8"}, ""},
		{"by query", "GET", "/files/o/r/" + commit + "/config.json?fault=status:418", nil, 418, nil, "{\"error\":\"I'm a teapot, on purpose\"}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			response, body, err := ask(t, c.method, server.URL+c.path, c.headers...)
			if err != nil || response.StatusCode != c.status || body != c.body {
				t.Errorf("status %d, error %v, body %q", response.StatusCode, err, body)
			}
			for name, value := range c.want {
				if got := response.Header.Get(name); got != value {
					t.Errorf("%s: %q instead of %q", name, got, value)
				}
			}
		})
	}
}

func TestInfoListsFilesWithDigests(t *testing.T) {
	server := standard(t)
	_, body, _ := ask(t, "GET", server.URL+"/api/models/o/r/revision/main?blobs=true")
	var info struct {
		SHA      string
		Siblings []sibling
	}
	if err := json.Unmarshal([]byte(body), &info); err != nil {
		t.Fatal(err)
	}
	if info.SHA != commit || len(info.Siblings) != 3 {
		t.Fatalf("%+v", info)
	}
	small, large := info.Siblings[0], info.Siblings[1]
	if small.Name != "config.json" || small.LFS != nil || *small.Size != 3 {
		t.Errorf("%+v", small)
	}
	if large.Name != "m.gguf" || large.LFS == nil || large.LFS.SHA256 != digest(weights) || large.LFS.Size != 100_000 {
		t.Errorf("%+v", large)
	}
	if _, bare, _ := ask(t, "GET", server.URL+"/api/models/o/r/revision/"+commit); strings.Contains(bare, "lfs") || !strings.Contains(bare, "sub/x.txt") {
		t.Errorf("without blobs=true: %s", bare)
	}
	if _, leaves, _ := ask(t, "GET", server.URL+"/api/models/o/r/tree/main?recursive=true"); !strings.Contains(leaves, `"oid":"`+digest(weights)) {
		t.Errorf("tree: %s", leaves)
	}
}

func TestRangesOfTheSignedAddress(t *testing.T) {
	server := standard(t)
	redirect, _, _ := ask(t, "GET", server.URL+"/o/r/resolve/"+commit+"/m.gguf")
	address := server.URL + redirect.Header.Get("Location")
	tag := `"` + digest(weights) + `"`
	for _, c := range []struct {
		name    string
		headers []string
		status  int
		length  int
		extent  string
	}{
		{"whole", nil, 200, 100_000, ""},
		{"part", []string{"Range: bytes=99990-"}, 206, 10, "bytes 99990-99999/100000"},
		{"part of the same", []string{"Range: bytes=0-4", "If-Range: " + tag}, 206, 5, "bytes 0-4/100000"},
		{"part of another", []string{"Range: bytes=0-4", `If-Range: "other"`}, 200, 100_000, ""},
		{"behind the end", []string{"Range: bytes=100000-"}, 416, -1, "bytes */100000"},
		{"known already", []string{"If-None-Match: " + tag}, 304, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			response, body, err := ask(t, "GET", address, c.headers...)
			if err != nil || response.StatusCode != c.status || response.Header.Get("Content-Range") != c.extent || (c.length >= 0 && len(body) != c.length) {
				t.Errorf("status %d, %d bytes, %q, %v", response.StatusCode, len(body), response.Header.Get("Content-Range"), err)
			}
		})
	}
}

func TestBodyFaults(t *testing.T) {
	server := standard(t)
	wrong := bytes.Clone(weights)
	wrong[50] ^= 0xff
	for _, c := range []struct {
		fault, extent string
		want          []byte
		whole         bool
	}{
		{"truncate:1000", "", weights[:1000], false},
		{"truncate:1000", "bytes=900-1899", weights[900:1000], false},
		{"truncate:1000", "bytes=1000-", nil, false},
		{"truncate:1000", "bytes=0-999", weights[:1000], true},
		{"cut:1000", "bytes=500-", weights[500:1500], false},
		{"wrong:50", "", wrong, true},
		{"wrong:50", "bytes=40-59", wrong[40:60], true},
		{"wrong:50", "bytes=51-59", weights[51:60], true},
		{"slow:1000000", "bytes=0-9999", weights[:10_000], true},
	} {
		t.Run(c.fault+" "+c.extent, func(t *testing.T) {
			var headers []string
			if c.extent != "" {
				headers = append(headers, "Range: "+c.extent)
			}
			_, body, err := ask(t, "GET", server.URL+"/files/o/r/"+commit+"/m.gguf?fault="+c.fault, headers...)
			if body != string(c.want) || (err == nil) != c.whole {
				t.Errorf("%d bytes of %d, error %v", len(body), len(c.want), err)
			}
		})
	}
}

func TestSlowIsSlow(t *testing.T) {
	server := standard(t)
	begun := time.Now()
	_, body, err := ask(t, "GET", server.URL+"/files/o/r/"+commit+"/m.gguf?fault=slow:10000", "Range: bytes=0-1999")
	if took := time.Since(begun); err != nil || len(body) != 2000 || took < 150*time.Millisecond || took > 5*time.Second {
		t.Errorf("%d bytes in %s, %v", len(body), took, err)
	}
}

func TestFirstTriesFail(t *testing.T) {
	server := standard(t)
	var seen []int
	for range 5 {
		response, _, _ := ask(t, "GET", server.URL+"/o/broken/resolve/"+commit+"/m.gguf")
		seen = append(seen, response.StatusCode)
	}
	if fmt.Sprint(seen) != "[500 500 500 302 302]" {
		t.Errorf("file: %v", seen)
	}
	seen = nil
	for range 3 {
		response, _, _ := ask(t, "GET", server.URL+"/api/models/o/broken/revision/"+commit)
		seen = append(seen, response.StatusCode)
	}
	if fmt.Sprint(seen) != "[503 503 200]" {
		t.Errorf("listing: %v", seen)
	}
}

func TestStatsProveWhatWasAsked(t *testing.T) {
	server := standard(t)
	path := "/o/r/resolve/" + commit + "/config.json"
	_, _, _ = ask(t, "GET", server.URL+path, "Authorization: Bearer x")
	_, _, _ = ask(t, "HEAD", server.URL+path)
	_, _, _ = ask(t, "GET", server.URL+"/healthz")
	var seen struct {
		Total int64
		Paths map[string]pathStats
	}
	_, body, _ := ask(t, "GET", server.URL+"/stats")
	if err := json.Unmarshal([]byte(body), &seen); err != nil {
		t.Fatal(err)
	}
	one := seen.Paths[path]
	if seen.Total != 2 || one.Requests != 2 || one.Authorized != 1 || one.Bytes != 3 || one.Statuses["200"] != 2 {
		t.Errorf("%s", body)
	}
	if strings.Contains(body, "Bearer") {
		t.Error("the counters hold a credential")
	}
	_, _, _ = ask(t, "DELETE", server.URL+"/stats")
	if _, body, _ = ask(t, "GET", server.URL+"/stats"); !strings.Contains(body, `"total":0`) {
		t.Errorf("after DELETE: %s", body)
	}
}
