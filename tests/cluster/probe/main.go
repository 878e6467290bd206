// Command probe is what the tests run inside a pod: it dials, listens, asks, writes and waits, and says what happened on standard output, one JSON object per line.
//
// One static binary of the standard library alone, so that it runs as a non-root user on a read-only root file system of an image that holds nothing else.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes that every sub command shares; `get` adds the first digit of the HTTP status.
const (
	exitOK    = 0
	exitNo    = 1
	exitUsage = 64
)

const usage = `usage:
  probe sleep                                     stay until SIGTERM
  probe listen ADDR [--body TEXT]                 answer HTTP with 200 on a TCP address, and echo datagrams on the same UDP port
  probe dial TARGET... [--timeout 500ms] [--every 200ms --for 5s] [--expect open|blocked]
                                                  TARGET is HOST:PORT or udp:HOST:PORT; one JSON line per try
  probe get URL [--ca FILE] [--header 'K: V'] [--bearer FILE] [--data JSON|@FILE] [--resolve HOST:PORT:ADDR] [--method M] [--insecure] [--timeout 30s] [--retry-refused 0s] [--status] [--stamp]
                                                  prints the body as it comes; exits with 0 for a 2xx, else with the first digit of the status, 1 without an answer
  probe dns NAME... [--timeout 2s]
  probe write PATH SIZE                           SIZE takes k, M, G
  probe cat PATH                                  print a file
`

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	commands := map[string]func(context.Context, []string) (int, error){
		"sleep":  sleep,
		"listen": listen,
		"dial":   dial,
		"get":    get,
		"dns":    dns,
		"write":  write,
		"cat":    cat,
	}
	command, found := commands[args[0]]
	if !found {
		fmt.Fprintf(os.Stderr, "unknown command %q\n%s", args[0], usage)
		return exitUsage
	}
	code, err := command(ctx, args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "probe %s: %v\n", args[0], err)
		if code == exitOK {
			code = exitUsage
		}
	}
	return code
}

func sleep(ctx context.Context, args []string) (int, error) {
	if len(args) != 0 {
		return exitUsage, fmt.Errorf("takes no argument, got %q", args)
	}
	<-ctx.Done()
	return exitOK, nil
}

// split parts the positional arguments from the flags, so that flags may stand anywhere. Every flag named in `switches` takes no value.
func split(args []string, switches ...string) (positional, flags []string) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if !strings.HasPrefix(arg, "--") {
			positional = append(positional, arg)
			continue
		}
		flags = append(flags, arg)
		alone := strings.Contains(arg, "=")
		for _, name := range switches {
			alone = alone || arg == "--"+name
		}
		if !alone && i+1 < len(args) {
			i++
			flags = append(flags, args[i])
		}
	}
	return positional, flags
}
