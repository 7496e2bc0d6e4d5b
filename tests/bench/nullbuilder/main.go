// Nullbuilder is a builder that builds nothing: it takes a client's solve, pulls the files over the
// client's session as fast as the protocol lets it, throws them away and tells what it saw; for an export
// it sends a tree that it makes up. A client measured against it is measured alone: no disk, no hashing,
// no snapshot on the other side.
//
// The session's inner HTTP/2 is BuildKit's own, over BuildKit's own hijacked connection; only the
// receiver and the sender of files are ours. It speaks as much of Control and of the gateway as buildctl, depot-go and
// libdepot ask for.
//
// When it listens it prints "listening on HOST:PORT"; for each solve it prints one line of JSON (type
// report).
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"sync"

	controlapi "github.com/moby/buildkit/api/services/control"
	gatewayapi "github.com/moby/buildkit/frontend/gateway/pb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	log.SetFlags(0)
	address := flag.String("address", "127.0.0.1:0", "listen here")
	pull := flag.String("pull", "all", "which files to ask for: all or none")
	export := flag.String("export", "", "what an export to a directory brings, as FILESxBYTES; nothing if not given")
	ca := flag.String("tlscacert", "", "clients must have a certificate of this CA")
	cert := flag.String("tlscert", "", "the server's certificate")
	key := flag.String("tlskey", "", "the server's key")
	flag.Parse()
	if flag.NArg() > 0 || (*pull != "all" && *pull != "none") {
		flag.Usage()
		os.Exit(2)
	}
	tree, err := parseTree(*export)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	if *ca != "" {
		config, err := mutualTLS(*ca, *cert, *key)
		if err != nil {
			log.Fatal(err)
		}
		// As buildkitd does it: gRPC's own TLS would refuse clients without ALPN, such as buildx.
		listener = tls.NewListener(listener, config)
	}
	server, err := newServer(*pull == "all", tree, printer())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	log.Fatal(server.Serve(listener))
}

func newServer(pull bool, tree tree, report func(report)) (*grpc.Server, error) {
	b, err := newBuilder(pull, tree, report)
	if err != nil {
		return nil, err
	}
	// The limits of buildkitd.
	server := grpc.NewServer(grpc.MaxRecvMsgSize(16<<20), grpc.MaxSendMsgSize(16<<20),
		grpc.ForceServerCodecV2(outerCodec()))
	controlapi.RegisterControlServer(server, &control{builder: b})
	gatewayapi.RegisterLLBBridgeServer(server, &bridge{builder: b})
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	return server, nil
}

func mutualTLS(caFile, certFile, keyFile string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s: no certificate in it", caFile)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12}, nil
}

// printer writes whole lines, however many solves end at once.
func printer() func(report) {
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	return func(r report) {
		mu.Lock()
		defer mu.Unlock()
		out.Encode(r)
	}
}
