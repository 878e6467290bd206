package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

type getPlan struct {
	url      string
	ca       string
	method   string
	data     string
	bearer   string
	headers  list
	resolve  list
	insecure bool
	status   bool
	stamp    bool
	timeout  time.Duration
	refused  time.Duration
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string         { return strings.Join(*l, ", ") }
func (l *list) Set(value string) error { *l = append(*l, value); return nil }

// get asks once and prints the body as it comes. It exits with 0 for a 2xx, with the first digit of any other status, and with 1 when there was no answer at all.
func get(ctx context.Context, args []string) (int, error) {
	positional, rest := split(args, "insecure", "status", "stream", "stamp")
	var plan getPlan
	flags := flag.NewFlagSet("get", flag.ContinueOnError)
	flags.StringVar(&plan.ca, "ca", "", "PEM file of the only authorities to trust")
	flags.StringVar(&plan.method, "method", "", "default: GET, or POST with --data")
	flags.StringVar(&plan.data, "data", "", "JSON body, or @FILE")
	flags.StringVar(&plan.bearer, "bearer", "", "file with the key to send as Authorization: Bearer")
	flags.Var(&plan.headers, "header", "'Name: value' or name=value; may be repeated")
	flags.Var(&plan.resolve, "resolve", "HOST:PORT:ADDR, dial ADDR instead; may be repeated")
	flags.BoolVar(&plan.insecure, "insecure", false, "accept any certificate")
	flags.BoolVar(&plan.status, "status", false, "print the status line and the headers first")
	flags.BoolVar(&plan.stamp, "stamp", false, "put the milliseconds since the request was sent before each line")
	flags.Bool("stream", true, "print the body as it comes, which is always done")
	flags.DurationVar(&plan.timeout, "timeout", 30*time.Second, "for the whole request")
	flags.DurationVar(&plan.timeout, "max-time", 30*time.Second, "the same")
	flags.DurationVar(&plan.refused, "retry-refused", 0, "how long to dial again when nothing listens")
	if err := flags.Parse(rest); err != nil {
		return exitUsage, err
	}
	if len(positional) != 1 {
		return exitUsage, fmt.Errorf("wants one URL")
	}
	plan.url = positional[0]
	ctx, cancel := context.WithTimeout(ctx, plan.timeout)
	defer cancel()
	return plan.run(ctx, os.Stdout)
}

func (p getPlan) run(ctx context.Context, out io.Writer) (int, error) {
	request, err := p.request(ctx)
	if err != nil {
		return exitUsage, err
	}
	client, err := p.client()
	if err != nil {
		return exitUsage, err
	}
	sent := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return exitNo, err
	}
	defer func() { _ = response.Body.Close() }()
	if p.status {
		_, _ = fmt.Fprintf(out, "%s %s\n", response.Proto, response.Status)
		_ = response.Header.Write(out)
		_, _ = fmt.Fprintln(out)
	}
	if p.stamp {
		out = &stamped{out: out, since: sent, lineStart: true}
	}
	if _, err := io.Copy(out, response.Body); err != nil {
		return exitNo, fmt.Errorf("the body broke off: %w", err)
	}
	if class := response.StatusCode / 100; class != 2 {
		return class, fmt.Errorf("status %s", response.Status)
	}
	return exitOK, nil
}

func (p getPlan) request(ctx context.Context) (*http.Request, error) {
	var body io.Reader
	method := http.MethodGet
	if p.data != "" {
		method = http.MethodPost
		content := p.data
		if path, isFile := strings.CutPrefix(p.data, "@"); isFile {
			read, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			content = string(read)
		}
		body = strings.NewReader(content)
	}
	if p.method != "" {
		method = p.method
	}
	request, err := http.NewRequestWithContext(ctx, method, p.url, body)
	if err != nil {
		return nil, err
	}
	if p.data != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if p.bearer != "" {
		key, err := os.ReadFile(p.bearer)
		if err != nil {
			return nil, err
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(key)))
	}
	for _, header := range p.headers {
		name, value, found := strings.Cut(header, ": ")
		if !found {
			name, value, found = strings.Cut(header, "=")
		}
		if !found {
			return nil, fmt.Errorf("--header wants 'Name: value', got %q", header)
		}
		request.Header.Add(name, value)
	}
	return request, nil
}

// client never follows a redirect and never asks a proxy: the tests want to see what the server said.
func (p getPlan) client() (*http.Client, error) {
	trust := &tls.Config{InsecureSkipVerify: p.insecure, MinVersion: tls.VersionTLS12}
	if p.ca != "" {
		pem, err := os.ReadFile(p.ca)
		if err != nil {
			return nil, err
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("no certificate found in %s", p.ca)
		}
	}
	dialTo := map[string]string{}
	for _, entry := range p.resolve {
		parts := strings.SplitN(entry, ":", 3)
		if len(parts) != 3 {
			return nil, fmt.Errorf("--resolve wants HOST:PORT:ADDR, got %q", entry)
		}
		dialTo[parts[0]+":"+parts[1]] = net.JoinHostPort(strings.Trim(parts[2], "[]"), parts[1])
	}
	transport := &http.Transport{
		TLSClientConfig: trust,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if other, found := dialTo[address]; found {
				address = other
			}
			return dialUntil(ctx, time.Now().Add(p.refused), network, address)
		},
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// dialUntil dials again while the other side refuses, until the deadline: a node refuses connections to a Service for the moment between its endpoints being ready and kube-proxy's rules saying so. Nothing was sent yet, so no request is asked twice.
func dialUntil(ctx context.Context, deadline time.Time, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	for {
		connection, err := dialer.DialContext(ctx, network, address)
		if err == nil || !errors.Is(err, syscall.ECONNREFUSED) || !time.Now().Before(deadline) {
			return connection, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// stamped puts the milliseconds since the request before each line, so that a test sees that a stream is a stream.
type stamped struct {
	out       io.Writer
	since     time.Time
	lineStart bool
}

func (s *stamped) Write(p []byte) (int, error) {
	written := 0
	for line := range strings.Lines(string(p)) {
		if s.lineStart {
			if _, err := fmt.Fprintf(s.out, "%6d ", time.Since(s.since).Milliseconds()); err != nil {
				return written, err
			}
		}
		n, err := io.WriteString(s.out, line)
		written += n
		if err != nil {
			return written, err
		}
		s.lineStart = strings.HasSuffix(line, "\n")
	}
	return written, nil
}
