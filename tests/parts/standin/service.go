package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	cliv1 "github.com/depot/depot-go/proto/depot/cli/v1"
	"github.com/depot/depot-go/proto/depot/cli/v1/cliv1connect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

type config struct {
	Token, Project                                  string
	Endpoint, ServerName, CACert, CAKey, Compressor string
}

// build is one that CreateBuild made.
type build struct {
	id, token, project string
	finished           bool
	outcome            cliv1.BuildStatus
	created, ended     time.Time
	asked              map[cliv1.BuilderPlatform]int // GetBuildKitConnection calls so far
}

type service struct {
	cliv1connect.UnimplementedBuildServiceHandler
	config config
	minter *minter

	mu      sync.Mutex
	changed *sync.Cond
	began   time.Time
	calls   []*call
	builds  map[string]*build
	made    int
	script  script
}

func newService(c config, m *minter) *service {
	s := &service{config: c, minter: m, began: time.Now(), builds: map[string]*build{}}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func bearer(header interface{ Get(string) string }) string {
	token, ok := strings.CutPrefix(header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return token
}

// find gives the build that a call names, if the call brings that build's own token.
func (s *service) find(id string, header interface{ Get(string) string }) (*build, error) {
	b := s.builds[id]
	if b == nil {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("build %q not found", id))
	}
	if bearer(header) != b.token {
		return nil, connect.NewError(connect.CodeUnauthenticated, errors.New("invalid build token"))
	}
	return b, nil
}

func (s *service) CreateBuild(_ context.Context, req *connect.Request[cliv1.CreateBuildRequest]) (*connect.Response[cliv1.CreateBuildResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := bearer(req.Header())
	if token == "" || s.config.Token != "" && token != s.config.Token {
		return nil, connect.NewError(connect.CodeUnauthenticated, errors.New("invalid token"))
	}
	project := req.Msg.ProjectId
	if s.config.Project != "" && project != "" && project != s.config.Project {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("project %q not found", project))
	}
	if project == "" {
		project = s.config.Project
	}
	s.made++
	b := &build{
		id:      fmt.Sprintf("build-%d", s.made),
		token:   fmt.Sprintf("build-token-%d", s.made),
		project: project,
		created: time.Now(),
		asked:   map[cliv1.BuilderPlatform]int{},
	}
	s.builds[b.id] = b
	res := &cliv1.CreateBuildResponse{
		BuildId:    b.id,
		BuildToken: b.token,
		BuildUrl:   "https://depot.invalid/builds/" + b.id,
		ProjectId:  b.project,
		Registry:   &cliv1.Registry{},
	}
	for _, c := range s.script.AdditionalCredentials {
		res.AdditionalCredentials = append(res.AdditionalCredentials,
			&cliv1.CreateBuildResponse_Credential{Host: c.Host, Token: c.Token})
	}
	for _, t := range s.script.AdditionalTags {
		res.AdditionalTags = append(res.AdditionalTags, &cliv1.CreateBuildResponse_Tag{Tag: t.Tag, Push: t.Push})
	}
	return connect.NewResponse(res), nil
}

func (s *service) GetBuildKitConnection(_ context.Context, req *connect.Request[cliv1.GetBuildKitConnectionRequest]) (*connect.Response[cliv1.GetBuildKitConnectionResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(req.Msg.BuildId, req.Header())
	if err != nil {
		return nil, err
	}
	if b.finished {
		return nil, connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("build %q is finished", b.id))
	}
	if req.Msg.Platform == cliv1.BuilderPlatform_BUILDER_PLATFORM_UNSPECIFIED {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("platform is required"))
	}
	asked := b.asked[req.Msg.Platform]
	b.asked[req.Msg.Platform]++
	if wait := s.script.pending(asked); wait >= 0 {
		return connect.NewResponse(&cliv1.GetBuildKitConnectionResponse{
			Connection: &cliv1.GetBuildKitConnectionResponse_Pending{
				Pending: &cliv1.GetBuildKitConnectionResponse_PendingConnection{WaitMs: wait}},
		}), nil
	}
	active, err := s.active(b, req.Msg.Platform)
	if err != nil {
		return nil, connect.NewError(connect.CodeInternal, err)
	}
	return connect.NewResponse(&cliv1.GetBuildKitConnectionResponse{
		Connection: &cliv1.GetBuildKitConnectionResponse_Active{Active: active},
	}), nil
}

// active is the builder as configured, with what the script says otherwise.
func (s *service) active(b *build, platform cliv1.BuilderPlatform) (*cliv1.GetBuildKitConnectionResponse_ActiveConnection, error) {
	m := s.script.Machine
	or := func(scripted *string, configured string) string {
		if scripted != nil {
			return *scripted
		}
		return configured
	}
	a := &cliv1.GetBuildKitConnectionResponse_ActiveConnection{
		Endpoint:   or(m.Endpoint, s.config.Endpoint),
		ServerName: or(m.ServerName, s.config.ServerName),
	}
	kind := strings.ToLower(strings.TrimPrefix(platform.String(), "BUILDER_PLATFORM_"))
	if scripted, ok := s.script.Endpoints[kind]; ok {
		a.Endpoint = scripted
	}
	if s.minter != nil && !m.Plaintext {
		cert, key, err := s.minter.identity(b.id, m.Identity)
		if err != nil {
			return nil, err
		}
		a.Cert = &cliv1.Cert{Cert: cert, Key: key}
		a.CaCert = &cliv1.Cert{Cert: or(m.CACert, s.minter.caPEM)}
	}
	if or(m.Compressor, s.config.Compressor) == "gzip" {
		a.Compressor = &cliv1.GetBuildKitConnectionResponse_ActiveConnection_Gzip_{
			Gzip: &cliv1.GetBuildKitConnectionResponse_ActiveConnection_Gzip{}}
	}
	return a, nil
}

func (s *service) ReportBuildHealth(_ context.Context, req *connect.Request[cliv1.ReportBuildHealthRequest]) (*connect.Response[cliv1.ReportBuildHealthResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.find(req.Msg.BuildId, req.Header()); err != nil {
		return nil, err
	}
	res := &cliv1.ReportBuildHealthResponse{}
	if in := s.script.CancelsInMs; in != nil {
		res.CancelsAt = timestamppb.New(time.Now().Add(time.Duration(*in) * time.Millisecond))
	}
	return connect.NewResponse(res), nil
}

func (s *service) FinishBuild(_ context.Context, req *connect.Request[cliv1.FinishBuildRequest]) (*connect.Response[cliv1.FinishBuildResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(req.Msg.BuildId, req.Header())
	if err != nil {
		return nil, err
	}
	if req.Msg.Result == nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("result is required"))
	}
	if !b.finished {
		b.finished, b.ended = true, time.Now()
		b.outcome = cliv1.BuildStatus_BUILD_STATUS_FINISHED
		if req.Msg.GetError() != nil {
			b.outcome = cliv1.BuildStatus_BUILD_STATUS_FAILED
		} else if req.Msg.GetCanceled() != nil {
			b.outcome = cliv1.BuildStatus_BUILD_STATUS_CANCELED
		}
	}
	return connect.NewResponse(&cliv1.FinishBuildResponse{}), nil
}

func (s *service) ReportTimings(_ context.Context, req *connect.Request[cliv1.ReportTimingsRequest]) (*connect.Response[cliv1.ReportTimingsResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.find(req.Msg.BuildId, req.Header()); err != nil {
		return nil, err
	}
	return connect.NewResponse(&cliv1.ReportTimingsResponse{}), nil
}

func (s *service) ReportBuildContext(_ context.Context, req *connect.Request[cliv1.ReportBuildContextRequest]) (*connect.Response[cliv1.ReportBuildContextResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.find(req.Msg.BuildId, req.Header()); err != nil {
		return nil, err
	}
	return connect.NewResponse(&cliv1.ReportBuildContextResponse{}), nil
}

func (s *service) GetPullToken(_ context.Context, req *connect.Request[cliv1.GetPullTokenRequest]) (*connect.Response[cliv1.GetPullTokenResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token := bearer(req.Header()); token == "" || s.config.Token != "" && token != s.config.Token {
		return nil, connect.NewError(connect.CodeUnauthenticated, errors.New("invalid token"))
	}
	return connect.NewResponse(&cliv1.GetPullTokenResponse{Token: s.script.pullToken()}), nil
}

func (s *service) ListBuilds(_ context.Context, req *connect.Request[cliv1.ListBuildsRequest]) (*connect.Response[cliv1.ListBuildsResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token := bearer(req.Header()); token == "" || s.config.Token != "" && token != s.config.Token {
		return nil, connect.NewError(connect.CodeUnauthenticated, errors.New("invalid token"))
	}
	first := s.made
	if page := req.Msg.PageToken; page != "" {
		if _, err := fmt.Sscanf(page, "before %d", &first); err != nil {
			return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("no such page"))
		}
	}
	size := int(req.Msg.PageSize)
	if most := s.script.PageSize; most > 0 && (size == 0 || size > most) {
		size = most
	}
	res := &cliv1.ListBuildsResponse{}
	for i := first; i > 0; i-- {
		b := s.builds[fmt.Sprintf("build-%d", i)]
		if req.Msg.ProjectId != "" && b.project != req.Msg.ProjectId {
			continue
		}
		if size > 0 && len(res.Builds) == size {
			res.NextPageToken = fmt.Sprintf("before %d", i)
			break
		}
		listed := &cliv1.Build{Id: b.id, Status: cliv1.BuildStatus_BUILD_STATUS_RUNNING, CreatedAt: timestamppb.New(b.created)}
		if b.finished {
			listed.Status, listed.FinishedAt = b.outcome, timestamppb.New(b.ended)
		}
		res.Builds = append(res.Builds, listed)
	}
	return connect.NewResponse(res), nil
}
