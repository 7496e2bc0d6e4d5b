// Standin is a stand-in for Depot's API: the handlers that depot-go generates, in front of a real
// buildkitd whose address it hands out with a one-off identity per build.
//
// It behaves as the API does when nothing is scripted: CreateBuild wants the user's token and gives
// out a build token, the other calls want that one, an unknown build is NotFound. Tests drive it by
//
//	GET  /_/calls?method=M&min=N&timeout_ms=T   what arrived, in order; waits until N calls of M did
//	POST /_/script                              what to answer from now on (type script)
//	POST /_/reset                               forget calls, builds and script
//
// It speaks HTTP/1.1 and HTTP/2 without TLS (prior knowledge) on one port, or TLS with ALPN. When it
// listens it prints one JSON line with its address; it ends when its standard input does, so that a
// test that dies leaves nothing behind.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/depot/depot-go/proto/depot/cli/v1/cliv1connect"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

func run() error {
	var (
		listen   = flag.String("listen", "127.0.0.1:0", "address to listen on; a path with a slash is a Unix socket")
		tlsCert  = flag.String("tls-cert", "", "serve TLS with this certificate")
		tlsKey   = flag.String("tls-key", "", "its key")
		detached = flag.Bool("detached", false, "go on after the end of standard input")
		config   config
	)
	flag.StringVar(&config.Token, "token", "", "the token that CreateBuild accepts (empty: any but none)")
	flag.StringVar(&config.Project, "project", "", "the project that exists (empty: every one)")
	flag.StringVar(&config.Endpoint, "endpoint", "", "the builder's address, tcp://host:port")
	flag.StringVar(&config.ServerName, "server-name", "", "the name in the builder's certificate")
	flag.StringVar(&config.CACert, "ca-cert", "", "PEM file of the builder's CA (empty: the builder has no TLS)")
	flag.StringVar(&config.CAKey, "ca-key", "", "PEM file of the CA's key, to sign an identity for each build")
	flag.StringVar(&config.Compressor, "compressor", "", "gzip or nothing")
	flag.Parse()

	minter, err := newMinter(config.CACert, config.CAKey)
	if err != nil {
		return err
	}
	s := newService(config, minter)
	mux := http.NewServeMux()
	mux.Handle(cliv1connect.NewBuildServiceHandler(s))
	s.addLater(mux)
	mux.HandleFunc("GET /_/calls", s.serveCalls)
	mux.HandleFunc("POST /_/script", s.serveScript)
	mux.HandleFunc("POST /_/reset", s.serveReset)

	server := &http.Server{Handler: s.scripted(mux), Protocols: new(http.Protocols), ConnContext: nameConn}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)

	network, scheme := "tcp", "http"
	if len(*listen) > 0 && (*listen)[0] == '/' {
		network = "unix"
	}
	l, err := net.Listen(network, *listen)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if !*detached {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	failed := make(chan error, 1)
	go func() {
		if *tlsCert != "" {
			failed <- server.ServeTLS(l, *tlsCert, *tlsKey)
		} else {
			failed <- server.Serve(l)
		}
	}()

	ready := map[string]any{"address": l.Addr().String(), "pid": os.Getpid()}
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		if *tlsCert != "" {
			scheme = "https"
		}
		ready["port"] = tcp.Port
		ready["url"] = fmt.Sprintf("%s://%s", scheme, l.Addr())
	}
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}
