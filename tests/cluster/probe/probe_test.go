package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSplitLetsFlagsStandAnywhere(t *testing.T) {
	positional, flags := split([]string{"a:1", "--timeout", "1s", "b:2", "--stream", "--every=2s", "c:3"}, "stream")
	if !slices.Equal(positional, []string{"a:1", "b:2", "c:3"}) {
		t.Errorf("positional: %q", positional)
	}
	if !slices.Equal(flags, []string{"--timeout", "1s", "--stream", "--every=2s"}) {
		t.Errorf("flags: %q", flags)
	}
}

func TestDialTellsOpenFromBlocked(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Close() }()
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = shut.Close()
	up, down := open.Addr().String(), shut.Addr().String()
	for _, c := range []struct {
		name   string
		args   []string
		exit   int
		errors bool
	}{
		{"open and expected", []string{up, "--expect", "open"}, exitOK, false},
		{"open and not expected", []string{up}, exitNo, false},
		{"blocked and expected", []string{down}, exitOK, false},
		{"blocked and not expected", []string{down, "--expect", "open"}, exitNo, false},
		{"one of two is not all", []string{up, down, "--expect", "open"}, exitNo, false},
		{"one of two is not none", []string{up, down}, exitNo, false},
		{"no target", nil, exitUsage, true},
		{"bad expectation", []string{up, "--expect", "maybe"}, exitUsage, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			exit, err := dial(t.Context(), c.args)
			if exit != c.exit || (err != nil) != c.errors {
				t.Errorf("exit %d, error %v", exit, err)
			}
		})
	}
}

func TestDialRepeatsAndStampsEachTry(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Close() }()
	plan := dialPlan{targets: []string{open.Addr().String()}, timeout: time.Second, every: 20 * time.Millisecond, lasting: 110 * time.Millisecond}
	var out bytes.Buffer
	if reached := plan.run(t.Context(), &out); reached != 1 {
		t.Fatalf("reached %d", reached)
	}
	decoder := json.NewDecoder(&out)
	var times []int64
	for {
		var line try
		if err := decoder.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if !line.OK || line.Remote != plan.targets[0] {
			t.Errorf("line: %+v", line)
		}
		times = append(times, line.AtMs)
	}
	if len(times) < 3 || !slices.IsSorted(times) {
		t.Errorf("tries at %v ms", times)
	}
}

func TestDialUDPWantsAnEcho(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := "udp:" + conn.LocalAddr().String()
	if mute := dialOnce(t.Context(), target, 50*time.Millisecond, time.Now()); mute.OK {
		t.Error("a port that does not answer counts as reached")
	}
	go echo(conn)
	defer func() { _ = conn.Close() }()
	if heard := dialOnce(t.Context(), target, time.Second, time.Now()); !heard.OK {
		t.Errorf("no echo: %s", heard.Error)
	}
}

func TestGetExitsByStatus(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/echo":
			_, _ = io.WriteString(w, r.Method+" "+r.Header.Get("X-Token")+" "+string(body))
		case "/key":
			_, _ = io.WriteString(w, r.Header.Get("Authorization"))
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "short")
		case "/away":
			http.Redirect(w, r, "/echo", http.StatusFound)
		default:
			http.Error(w, "no", http.StatusTeapot)
		}
	}))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("alc_1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(server.URL, "https://")
	_, port, _ := net.SplitHostPort(address)
	named := "https://example.com:" + port
	for _, c := range []struct {
		name string
		plan getPlan
		exit int
		body string
	}{
		{"trusted", getPlan{url: server.URL + "/echo", ca: ca, headers: list{"X-Token: a"}}, exitOK, "GET a "},
		{"posted", getPlan{url: server.URL + "/echo", ca: ca, data: "{}", headers: list{"X-Token=b"}}, exitOK, "POST b {}"},
		{"resolved", getPlan{url: named + "/echo", ca: ca, resolve: list{"example.com:" + port + ":127.0.0.1"}}, exitOK, "GET  "},
		{"with a key", getPlan{url: server.URL + "/key", ca: ca, bearer: key}, exitOK, "Bearer alc_1"},
		{"without its file", getPlan{url: server.URL + "/key", ca: ca, bearer: key + ".not"}, exitUsage, ""},
		{"not trusted", getPlan{url: server.URL + "/echo"}, exitNo, ""},
		{"any certificate", getPlan{url: server.URL + "/echo", insecure: true}, exitOK, "GET  "},
		{"refused", getPlan{url: server.URL + "/other", ca: ca}, 4, "no\n"},
		{"redirect is shown, not followed", getPlan{url: server.URL + "/away", ca: ca}, 3, "<a href=\"/echo\">Found</a>.\n\n"},
		{"cut body", getPlan{url: server.URL + "/cut", ca: ca}, exitNo, "short"},
		{"nobody there", getPlan{url: "http://127.0.0.1:1/"}, exitNo, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			var out bytes.Buffer
			exit, err := c.plan.run(ctx, &out)
			if exit != c.exit || out.String() != c.body {
				t.Errorf("exit %d (%v), body %q", exit, err, out.String())
			}
		})
	}
}

func TestWriteCountsBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if exit, err := write(t.Context(), []string{path, "3k"}); exit != exitOK || err != nil {
		t.Fatalf("exit %d, %v", exit, err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != 3072 {
		t.Errorf("%v, %v", info, err)
	}
	if exit, _ := write(t.Context(), []string{filepath.Join(path, "below"), "1"}); exit != exitNo {
		t.Errorf("writing below a file gave exit %d", exit)
	}
	for _, bad := range []string{"", "k", "-1", "1T", "1.5M"} {
		if _, err := parseSize(bad); err == nil {
			t.Errorf("%q was taken as a size", bad)
		}
	}
}

func TestStampedMarksEachLineOnce(t *testing.T) {
	var out bytes.Buffer
	w := &stamped{out: &out, since: time.Now(), lineStart: true}
	for _, part := range []string{"one\ntw", "o\n", "three"} {
		if n, err := io.WriteString(w, part); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := strings.ReplaceAll(out.String(), "     0 ", "|"); got != "|one\n|two\n|three" {
		t.Errorf("%q", got)
	}
}

func TestGetDialsAgainWhileNothingListens(t *testing.T) {
	reserved, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := reserved.Addr().String()
	_ = reserved.Close()
	url := "http://" + address
	if exit, err := get(t.Context(), []string{url}); exit != exitNo || err == nil {
		t.Errorf("nothing listens: exit %d, error %v", exit, err)
	}
	late := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	defer func() { _ = late.Close() }()
	time.AfterFunc(200*time.Millisecond, func() {
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = late.Serve(listener)
		}
	})
	if exit, err := get(t.Context(), []string{url, "--retry-refused", "10s"}); exit != exitOK {
		t.Errorf("a late listener: exit %d, error %v", exit, err)
	}
}
