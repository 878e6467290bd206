package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// listen answers HTTP on a TCP address and echoes datagrams on the UDP port of the same number, until SIGTERM.
func listen(ctx context.Context, args []string) (int, error) {
	positional, rest := split(args)
	flags := flag.NewFlagSet("listen", flag.ContinueOnError)
	body := flags.String("body", "", "what to answer; empty: who was asked and by whom")
	if err := flags.Parse(rest); err != nil {
		return exitUsage, err
	}
	if len(positional) != 1 {
		return exitUsage, fmt.Errorf("wants one ADDR such as :8080")
	}
	tcp, err := net.Listen("tcp", positional[0])
	if err != nil {
		return exitNo, err
	}
	// The host as it was given: the listener's own address has lost the zone of a link-local one.
	host, _, err := net.SplitHostPort(positional[0])
	if err != nil {
		return exitUsage, err
	}
	_, port, err := net.SplitHostPort(tcp.Addr().String())
	if err != nil {
		return exitNo, err
	}
	udp, err := net.ListenPacket("udp", net.JoinHostPort(host, port))
	if err != nil {
		return exitNo, err
	}
	defer func() { _ = udp.Close() }()
	go echo(udp)
	server := &http.Server{Handler: answer(*body), ReadHeaderTimeout: 10 * time.Second}
	fmt.Printf("{\"listening\":%q}\n", tcp.Addr())
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(tcp); !errors.Is(err, http.ErrServerClosed) {
		return exitNo, err
	}
	return exitOK, nil
}

func answer(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body != "" {
			_, _ = io.WriteString(w, body+"\n")
			return
		}
		_, _ = fmt.Fprintf(w, "%s %s from %s\n", r.Method, r.URL.Path, r.RemoteAddr)
	})
}

func echo(conn net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		_, _ = conn.WriteTo(buffer[:n], from)
	}
}
