// Command hub is a mirror of a model hub, as a site without internet has it: it speaks the part of the Hugging Face hub's API that downloaders use, over a directory tree, and can misbehave on purpose.
//
// The tree is DATA/<owner>/<repo>/<revision>/<files>. Beside the revisions a repository may hold `.refs` (branch names), `.token` (who may read) and `.fault` (how to misbehave, see fault.go).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", ":8080", "address to answer on")
	data := flag.String("data", "/data", "directory of the repositories")
	flag.Parse()
	if err := run(*listen, *data); err != nil {
		fmt.Fprintf(os.Stderr, "hub: %v\n", err)
		os.Exit(1)
	}
}

func run(listen, data string) error {
	tree, err := openTree(data)
	if err != nil {
		return fmt.Errorf("failed to open the data: %w", err)
	}
	server := &http.Server{Addr: listen, Handler: newHub(tree), ReadHeaderTimeout: 10 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	log.Printf("serving %s on %s", data, listen)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
