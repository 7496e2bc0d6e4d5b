package proto

// Upstream's generated code; importing a package registers its descriptors.
import (
	_ "github.com/containerd/containerd/api/services/content/v1"
	_ "github.com/depot/depot-go/proto/depot/cli/v1"
	_ "github.com/moby/buildkit/api/services/control"
	_ "github.com/moby/buildkit/api/types"
	_ "github.com/moby/buildkit/frontend/gateway/pb"
	_ "github.com/moby/buildkit/session/auth"
	_ "github.com/moby/buildkit/session/exporter"
	_ "github.com/moby/buildkit/session/filesync"
	_ "github.com/moby/buildkit/session/secrets"
	_ "github.com/moby/buildkit/session/sshforward"
	_ "github.com/moby/buildkit/session/upload"
	_ "github.com/moby/buildkit/solver/errdefs"
	_ "github.com/moby/buildkit/solver/pb"
	_ "github.com/moby/buildkit/sourcepolicy/pb"
	_ "github.com/moby/buildkit/util/apicaps/pb"
	_ "github.com/moby/buildkit/util/stack"
	_ "github.com/tonistiigi/fsutil/types"
	_ "google.golang.org/genproto/googleapis/rpc/status"
	_ "google.golang.org/grpc/health/grpc_health_v1"
)
