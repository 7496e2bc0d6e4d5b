//go:build tools

// Package engine exists so that go.mod and go.sum name everything that this older buildkitd is made of;
// packaging/engine/install compiles it. The requirements are those of its own go.mod.
package engine

import (
	_ "github.com/moby/buildkit/cmd/buildctl"
	_ "github.com/moby/buildkit/cmd/buildkitd"
)
