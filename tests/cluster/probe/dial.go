package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// try is one line of `dial`: a new connection to one target, and how it ended.
type try struct {
	Target string `json:"target"`
	AtMs   int64  `json:"at_ms"`
	TookMs int64  `json:"took_ms"`
	OK     bool   `json:"ok"`
	Error  string `json:"error,omitempty"`
	Remote string `json:"remote,omitempty"`
}

type dialPlan struct {
	targets []string
	timeout time.Duration
	every   time.Duration
	lasting time.Duration
	expect  string
}

func dial(ctx context.Context, args []string) (int, error) {
	targets, rest := split(args)
	plan := dialPlan{targets: targets}
	flags := flag.NewFlagSet("dial", flag.ContinueOnError)
	flags.DurationVar(&plan.timeout, "timeout", 500*time.Millisecond, "how long one try may take")
	flags.DurationVar(&plan.every, "every", 200*time.Millisecond, "pause between the rounds")
	flags.DurationVar(&plan.lasting, "for", 0, "keep trying for so long; 0: one round")
	flags.StringVar(&plan.expect, "expect", "blocked", "open: exit 0 if every target was reached at least once; blocked: exit 0 if none ever was")
	if err := flags.Parse(rest); err != nil {
		return exitUsage, err
	}
	if len(targets) == 0 || (plan.expect != "open" && plan.expect != "blocked") {
		return exitUsage, fmt.Errorf("wants at least one HOST:PORT, and --expect open or blocked")
	}
	reached := plan.run(ctx, os.Stdout)
	asExpected := (plan.expect == "blocked" && reached == 0) || (plan.expect == "open" && reached == len(targets))
	if asExpected {
		return exitOK, nil
	}
	return exitNo, nil
}

// run tries every target at the same time, round after round, and returns how many were reached at least once.
func (p dialPlan) run(ctx context.Context, out io.Writer) int {
	start := time.Now()
	encoder := json.NewEncoder(out)
	reached := map[string]bool{}
	for {
		tries := make([]try, len(p.targets))
		var round sync.WaitGroup
		for i, target := range p.targets {
			round.Go(func() { tries[i] = dialOnce(ctx, target, p.timeout, start) })
		}
		round.Wait()
		for _, t := range tries {
			if t.OK {
				reached[t.Target] = true
			}
			if err := encoder.Encode(t); err != nil {
				return len(reached)
			}
		}
		if time.Since(start)+p.every >= p.lasting || ctx.Err() != nil {
			return len(reached)
		}
		select {
		case <-ctx.Done():
			return len(reached)
		case <-time.After(p.every):
		}
	}
}

func dialOnce(ctx context.Context, target string, timeout time.Duration, start time.Time) try {
	begun := time.Now()
	result := try{Target: target, AtMs: begun.Sub(start).Milliseconds()}
	network, address := "tcp", target
	if rest, isUDP := strings.CutPrefix(target, "udp:"); isUDP {
		network, address = "udp", rest
	}
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(ctx, network, address)
	if err == nil {
		defer func() { _ = conn.Close() }()
		result.Remote = conn.RemoteAddr().String()
		if network == "udp" {
			err = pingUDP(conn, begun.Add(timeout))
		}
	}
	result.TookMs = time.Since(begun).Milliseconds()
	result.OK = err == nil
	if err != nil {
		result.Error = err.Error()
	}
	return result
}

// pingUDP sends a datagram and waits for its echo: a UDP "connection" alone proves nothing.
func pingUDP(conn net.Conn, deadline time.Time) error {
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("probe")); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 64))
	return err
}
