// Depotgo builds a directory with the Dockerfile frontend as a program does that uses depot-go: through
// its machine at a known address, so without Depot's API.
//
//	depotgo tcp://HOST:PORT SERVER_NAME CA CERT KEY CONTEXT [DIRECTORY]
//
// With a directory, the files of the result are exported there.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/depot/depot-go/machine"
	"github.com/moby/buildkit/client"
)

func main() {
	if len(os.Args) != 7 && len(os.Args) != 8 {
		fmt.Fprintln(os.Stderr, "usage: depotgo ADDRESS SERVER_NAME CA CERT KEY CONTEXT [DIRECTORY]")
		os.Exit(2)
	}
	var exports []client.ExportEntry
	if len(os.Args) == 8 {
		exports = []client.ExportEntry{{Type: client.ExporterLocal, OutputDir: os.Args[7]}}
	}
	if err := build(context.Background(), os.Args[1:6], os.Args[6], exports); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func build(ctx context.Context, address []string, dir string, exports []client.ExportEntry) error {
	var pem [3]string
	for i, file := range address[2:] {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		pem[i] = string(content)
	}
	m := machine.Machine{Addr: address[0], ServerName: address[1], CACert: pem[0], Cert: pem[1], Key: pem[2]}
	c, err := m.Connect(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	status := make(chan *client.SolveStatus)
	go func() {
		for s := range status {
			for _, v := range s.Vertexes {
				switch {
				case v.Completed != nil && v.Cached:
					fmt.Fprintln(os.Stderr, "cached ", v.Name)
				case v.Completed != nil:
					fmt.Fprintln(os.Stderr, "done   ", v.Name)
				case v.Started != nil:
					fmt.Fprintln(os.Stderr, "start  ", v.Name)
				}
			}
		}
	}()
	_, err = c.Solve(ctx, nil, client.SolveOpt{
		Frontend:  "dockerfile.v0",
		Exports:   exports,
		LocalDirs: map[string]string{"context": dir, "dockerfile": dir},
	}, status)
	return err
}
