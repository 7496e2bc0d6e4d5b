package main

import (
	"context"
	"time"

	controlapi "github.com/moby/buildkit/api/services/control"
	apitypes "github.com/moby/buildkit/api/types"
	"github.com/moby/buildkit/client/buildid"
	gatewayapi "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/session/grpchijack"
	"github.com/moby/buildkit/solver/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// control is the service that clients of BuildKit call; what it lacks is answered with Unimplemented.
type control struct {
	controlapi.UnimplementedControlServer
	*builder
}

var workers = []*apitypes.WorkerRecord{{ID: "null", Platforms: []*pb.Platform{{OS: "linux", Architecture: "amd64"}}}}

func (c *control) Info(context.Context, *controlapi.InfoRequest) (*controlapi.InfoResponse, error) {
	return &controlapi.InfoResponse{BuildkitVersion: &apitypes.BuildkitVersion{Package: "nullbuilder", Version: "v0.34.2"}}, nil
}

func (c *control) ListWorkers(context.Context, *controlapi.ListWorkersRequest) (*controlapi.ListWorkersResponse, error) {
	return &controlapi.ListWorkersResponse{Record: workers}, nil
}

func (c *control) Solve(ctx context.Context, req *controlapi.SolveRequest) (*controlapi.SolveResponse, error) {
	if req.Frontend == "" && req.Definition != nil && len(req.Definition.Def) > 0 {
		return nil, status.Error(codes.Unimplemented, errNoFrontend.Error())
	}
	s, err := c.add(req.Ref, req.Session)
	if err != nil {
		return nil, err
	}
	defer s.end()
	if req.Frontend == "" {
		err = s.await(ctx)
	} else {
		err = c.run(ctx, s, req.FrontendAttrs)
	}
	exporters := req.Exporters
	if len(exporters) == 0 && req.ExporterDeprecated != "" {
		exporters = []*controlapi.Exporter{{Type: req.ExporterDeprecated}}
	}
	var all *exported
	if err == nil && len(exporters) > 0 {
		all, err = c.export(ctx, req.Session, exporters)
	}
	c.tell(s, all, err)
	if err != nil {
		return nil, err
	}
	return &controlapi.SolveResponse{ExporterResponse: map[string]string{}}, nil
}

// Status announces two vertexes, tells when they started and, with the solve's end, that they are done.
func (c *control) Status(req *controlapi.StatusRequest, stream controlapi.Control_StatusServer) error {
	now := time.Now().Format(time.RFC3339Nano)
	if err := stream.SendHeader(metadata.Pairs("buildkit-current-timestamp", now)); err != nil {
		return err
	}
	s, err := c.find(stream.Context(), req.Ref)
	if err != nil {
		return err
	}
	announced, started, completed := vertexes(), vertexes(), vertexes()
	for i := range announced {
		started[i].Started = timestamppb.New(s.began)
	}
	for _, some := range [][]*controlapi.Vertex{announced, started} {
		if err := stream.Send(&controlapi.StatusResponse{Vertexes: some}); err != nil {
			return err
		}
	}
	select {
	case <-s.over:
	case <-stream.Context().Done():
		return context.Cause(stream.Context())
	}
	for _, v := range completed {
		v.Started, v.Completed = timestamppb.New(s.began), timestamppb.New(s.ended)
	}
	return stream.Send(&controlapi.StatusResponse{Vertexes: completed})
}

func vertexes() []*controlapi.Vertex {
	const zeros = "sha256:000000000000000000000000000000000000000000000000000000000000000"
	return []*controlapi.Vertex{
		{Digest: zeros + "1", Name: "[internal] load build definition from Dockerfile"},
		{Digest: zeros + "2", Name: "[internal] load build context"},
	}
}

// Session is buildkitd's, with the counting wrapped around it on both sides.
func (c *control) Session(stream controlapi.Control_SessionServer) error {
	count := &counters{}
	conn, closed, opts := grpchijack.Hijack(&countedStream{stream, count})
	defer conn.Close()
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	go func() {
		<-closed
		cancel()
	}()
	if id := opts["x-docker-expose-session-uuid"]; len(id) == 1 {
		c.mu.Lock()
		c.counters[id[0]] = count
		c.mu.Unlock()
		defer func() {
			c.mu.Lock()
			delete(c.counters, id[0])
			c.mu.Unlock()
		}()
	}
	return c.sessions.HandleConn(ctx, &countedConn{Conn: conn, count: count}, opts)
}

// bridge is for clients that run the frontend themselves (buildctl does): their Solve of Control waits
// for what they return here.
type bridge struct {
	gatewayapi.UnimplementedLLBBridgeServer
	*builder
}

func (b *bridge) Ping(context.Context, *gatewayapi.PingRequest) (*gatewayapi.PongResponse, error) {
	return &gatewayapi.PongResponse{FrontendAPICaps: gatewayapi.Caps.All(), LLBCaps: pb.Caps.All(), Workers: workers}, nil
}

func (b *bridge) Solve(ctx context.Context, req *gatewayapi.SolveRequest) (*gatewayapi.SolveResponse, error) {
	s, err := b.find(ctx, buildid.FromIncomingContext(ctx))
	if err != nil {
		return nil, err
	}
	if req.Frontend == "" {
		return nil, status.Error(codes.Unimplemented, errNoFrontend.Error())
	}
	if err := b.run(ctx, s, req.FrontendOpt); err != nil {
		return nil, err
	}
	return &gatewayapi.SolveResponse{Result: &gatewayapi.Result{Result: &gatewayapi.Result_Ref{Ref: &gatewayapi.Ref{Id: "null"}}}}, nil
}

func (b *bridge) Return(ctx context.Context, req *gatewayapi.ReturnRequest) (*gatewayapi.ReturnResponse, error) {
	s, err := b.find(ctx, buildid.FromIncomingContext(ctx))
	if err != nil {
		return nil, err
	}
	var result error
	if req.Error != nil && req.Error.Code != int32(codes.OK) {
		result = status.ErrorProto(req.Error)
	}
	select {
	case s.returned <- result:
	default: // it has one already
	}
	return &gatewayapi.ReturnResponse{}, nil
}
