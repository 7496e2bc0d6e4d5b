//go:build tools

// Package engine exists so that go.mod and go.sum name everything buildkitd and buildctl are made
// of; the programs are compiled straight from their module by the script "engine" beside this file.
package engine

import (
	_ "github.com/moby/buildkit/cmd/buildctl"
	_ "github.com/moby/buildkit/cmd/buildkitd"
)
