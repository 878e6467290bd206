package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// dns resolves each name and prints one JSON line for each; it exits with 1 if one does not resolve.
func dns(ctx context.Context, args []string) (int, error) {
	names, rest := split(args)
	flags := flag.NewFlagSet("dns", flag.ContinueOnError)
	timeout := flags.Duration("timeout", 2*time.Second, "for each name")
	if err := flags.Parse(rest); err != nil {
		return exitUsage, err
	}
	if len(names) == 0 {
		return exitUsage, fmt.Errorf("wants at least one NAME")
	}
	code := exitOK
	encoder := json.NewEncoder(os.Stdout)
	for _, name := range names {
		within, cancel := context.WithTimeout(ctx, *timeout)
		addresses, err := (&net.Resolver{PreferGo: true}).LookupHost(within, name)
		cancel()
		line := map[string]any{"name": name, "ok": err == nil, "addresses": addresses}
		if err != nil {
			line["error"] = err.Error()
			code = exitNo
		}
		if err := encoder.Encode(line); err != nil {
			return exitNo, err
		}
	}
	return code, nil
}

// write fills a file with so many bytes: it proves a read-only mount, a full disk, or that neither is there.
func write(_ context.Context, args []string) (int, error) {
	if len(args) != 2 {
		return exitUsage, fmt.Errorf("wants PATH SIZE")
	}
	size, err := parseSize(args[1])
	if err != nil {
		return exitUsage, err
	}
	file, err := os.Create(args[0])
	if err != nil {
		return exitNo, err
	}
	written, err := io.CopyBuffer(file, io.LimitReader(zeros{}, size), make([]byte, 1<<20))
	fmt.Printf("{\"path\":%q,\"written\":%d}\n", args[0], written)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return exitNo, err
	}
	return exitOK, nil
}

func cat(_ context.Context, args []string) (int, error) {
	if len(args) != 1 {
		return exitUsage, fmt.Errorf("wants one PATH")
	}
	file, err := os.Open(args[0])
	if err != nil {
		return exitNo, err
	}
	defer func() { _ = file.Close() }()
	if _, err := io.Copy(os.Stdout, file); err != nil {
		return exitNo, err
	}
	return exitOK, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func parseSize(text string) (int64, error) {
	units := map[string]int64{"k": 1 << 10, "M": 1 << 20, "G": 1 << 30}
	factor := int64(1)
	for unit, n := range units {
		if number, found := strings.CutSuffix(text, unit); found {
			text, factor = number, n
		}
	}
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 0 {
		return 0, fmt.Errorf("SIZE wants a number with k, M or G, got %q", text)
	}
	return number * factor, nil
}
