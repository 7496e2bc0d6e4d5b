package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	cliv1 "github.com/depot/depot-go/proto/depot/cli/v1"
	"github.com/depot/depot-go/proto/depot/cli/v1/cliv1connect"
	"google.golang.org/protobuf/encoding/protowire"
)

func start(t *testing.T, http2 bool) (*httptest.Server, cliv1connect.BuildServiceClient) {
	s := newService(config{Token: "secret", Project: "p1", Endpoint: "tcp://127.0.0.1:1", ServerName: "builder"}, nil)
	mux := http.NewServeMux()
	mux.Handle(cliv1connect.NewBuildServiceHandler(s))
	s.addLater(mux)
	mux.HandleFunc("GET /_/calls", s.serveCalls)
	mux.HandleFunc("POST /_/script", s.serveScript)
	server := httptest.NewUnstartedServer(s.scripted(mux))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Config.ConnContext = nameConn
	server.Start()
	t.Cleanup(server.Close)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetUnencryptedHTTP2(http2)
	t.Cleanup(transport.CloseIdleConnections)
	return server, cliv1connect.NewBuildServiceClient(&http.Client{Transport: transport}, server.URL)
}

func with[T any](m *T, token string) *connect.Request[T] {
	r := connect.NewRequest(m)
	r.Header().Set("Authorization", "Bearer "+token)
	return r
}

func calls(t *testing.T, server *httptest.Server, query string) []call {
	res, err := http.Get(server.URL + "/_/calls" + query)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var c []call
	if err := json.NewDecoder(res.Body).Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func play(t *testing.T, server *httptest.Server, script string) {
	res, err := http.Post(server.URL+"/_/script", "application/json", strings.NewReader(script))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		t.Fatalf("script refused: %d", res.StatusCode)
	}
}

func TestFlowIsAnsweredAndRecordedOverBothVersionsOfHTTP(t *testing.T) {
	for version, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		server, client := start(t, http2)
		play(t, server, `{"pending_ms": [7]}`)
		ctx := context.Background()
		made, err := client.CreateBuild(ctx, with(&cliv1.CreateBuildRequest{ProjectId: "p1"}, "secret"))
		if err != nil {
			t.Fatal(err)
		}
		ask := &cliv1.GetBuildKitConnectionRequest{BuildId: made.Msg.BuildId, Platform: cliv1.BuilderPlatform_BUILDER_PLATFORM_ARM64}
		first, err := client.GetBuildKitConnection(ctx, with(ask, made.Msg.BuildToken))
		if err != nil || first.Msg.GetPending().GetWaitMs() != 7 {
			t.Fatalf("%v, %v", first, err)
		}
		second, err := client.GetBuildKitConnection(ctx, with(ask, made.Msg.BuildToken))
		if err != nil || second.Msg.GetActive().GetEndpoint() != "tcp://127.0.0.1:1" {
			t.Fatalf("%v, %v", second, err)
		}
		done := &cliv1.FinishBuildRequest{BuildId: made.Msg.BuildId, Result: &cliv1.FinishBuildRequest_Canceled{Canceled: &cliv1.FinishBuildRequest_BuildCanceled{}}}
		if _, err := client.FinishBuild(ctx, with(done, made.Msg.BuildToken)); err != nil {
			t.Fatal(err)
		}
		got := calls(t, server, "?min=4&done=1")
		var order []string
		for _, c := range got {
			order = append(order, c.Method)
			if c.HTTP != version || c.Status != 200 {
				t.Errorf("%s: %s, status %d", c.Method, c.HTTP, c.Status)
			}
		}
		if strings.Join(order, " ") != "CreateBuild GetBuildKitConnection GetBuildKitConnection FinishBuild" {
			t.Errorf("order: %v", order)
		}
		if got[0].Authorization != "Bearer secret" || got[3].Authorization != "Bearer build-token-1" {
			t.Errorf("tokens: %q, %q", got[0].Authorization, got[3].Authorization)
		}
		if !strings.Contains(string(got[1].Fields), "BUILDER_PLATFORM_ARM64") || !strings.Contains(string(got[3].Fields), "canceled") {
			t.Errorf("fields: %s, %s", got[1].Fields, got[3].Fields)
		}
	}
}

func TestTheUsersTokenIsNoBuildToken(t *testing.T) {
	server, client := start(t, false)
	made, err := client.CreateBuild(context.Background(), with(&cliv1.CreateBuildRequest{}, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.ReportBuildHealth(context.Background(), with(&cliv1.ReportBuildHealthRequest{BuildId: made.Msg.BuildId}, "secret"))
	if connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("health with the user's token: %v", err)
	}
	_, err = client.CreateBuild(context.Background(), with(&cliv1.CreateBuildRequest{}, "other"))
	if connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("a wrong token: %v", err)
	}
	if n := len(calls(t, server, "?method=CreateBuild")); n != 2 {
		t.Errorf("%d calls of CreateBuild", n)
	}
}

func TestEachPlatformMayHaveAnEndpointOfItsOwn(t *testing.T) {
	server, client := start(t, false)
	play(t, server, `{"endpoints": {"arm64": "tcp://127.0.0.1:2"}}`)
	made, err := client.CreateBuild(context.Background(), with(&cliv1.CreateBuildRequest{}, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	for platform, endpoint := range map[cliv1.BuilderPlatform]string{
		cliv1.BuilderPlatform_BUILDER_PLATFORM_AMD64: "tcp://127.0.0.1:1",
		cliv1.BuilderPlatform_BUILDER_PLATFORM_ARM64: "tcp://127.0.0.1:2",
	} {
		ask := &cliv1.GetBuildKitConnectionRequest{BuildId: made.Msg.BuildId, Platform: platform}
		got, err := client.GetBuildKitConnection(context.Background(), with(ask, made.Msg.BuildToken))
		if err != nil || got.Msg.GetActive().GetEndpoint() != endpoint {
			t.Errorf("%v: %v, %v", platform, got, err)
		}
	}
}

func TestFaultsComeAsOftenAsScriptedAndThenTheAPIAnswers(t *testing.T) {
	server, client := start(t, false)
	play(t, server, `{"faults": [
		{"method": "CreateBuild", "times": 2, "kind": "http", "status": 429, "headers": {"Retry-After": "1"}},
		{"method": "CreateBuild", "kind": "error", "code": "not_found", "message": "project unknown"},
		{"method": "CreateBuild", "kind": "cut"}, {"method": "CreateBuild", "kind": "html"}]}`)
	var got []connect.Code
	for range 6 {
		_, err := client.CreateBuild(context.Background(), with(&cliv1.CreateBuildRequest{}, "secret"))
		if err == nil {
			got = append(got, 0)
			continue
		}
		got = append(got, connect.CodeOf(err))
	}
	if got[0] != connect.CodeUnavailable || got[1] != connect.CodeUnavailable || got[2] != connect.CodeNotFound || got[3] == 0 || got[4] == 0 || got[5] != 0 {
		t.Errorf("answers: %v", got)
	}
}

func TestAClientThatLeavesAHangingCallIsSeen(t *testing.T) {
	server, client := start(t, true)
	play(t, server, `{"faults": [{"method": "CreateBuild", "kind": "hang"}]}`)
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	go func() {
		_, err := client.CreateBuild(ctx, with(&cliv1.CreateBuildRequest{}, "secret"))
		failed <- err
	}()
	calls(t, server, "?method=CreateBuild&min=1")
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the call ended with %v", err)
	}
	if got := calls(t, server, "?done=1&min=1"); len(got) != 1 || !got[0].Gone {
		t.Errorf("recorded: %+v", got)
	}
}

func TestAWaitForCallsThatNeverComeEnds(t *testing.T) {
	server, _ := start(t, false)
	began := time.Now()
	if got := calls(t, server, "?min=1&timeout_ms=20"); len(got) != 0 || time.Since(began) < 20*time.Millisecond {
		t.Errorf("%d calls after %v", len(got), time.Since(began))
	}
}

// ask calls a method that depot-go does not know, with a build's id.
func ask(t *testing.T, server *httptest.Server, method, id, token string) (int, string) {
	r, _ := http.NewRequest("POST", server.URL+"/depot.cli.v1.BuildService/"+method, strings.NewReader("\x0a"+string(rune(len(id)))+id))
	r.Header.Set("Content-Type", "application/proto")
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

func TestWhatDepotGoDoesNotKnowIsAnsweredAndRecorded(t *testing.T) {
	server, client := start(t, false)
	options := &cliv1.BuildOptions{Save: true}
	options.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 9, protowire.BytesType), "v1"))
	request := &cliv1.CreateBuildRequest{ProjectId: "p1", Options: []*cliv1.BuildOptions{options}}
	made, err := client.CreateBuild(context.Background(), with(request, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	if fields := string(calls(t, server, "")[0].Fields); !strings.Contains(fields, `"save_tags":["v1"]`) {
		t.Errorf("fields: %s", fields)
	}
	for token, want := range map[string]int{"secret": 200, made.Msg.BuildToken: 200, "other": 401} {
		if status, body := ask(t, server, "GetBuild", made.Msg.BuildId, token); status != want {
			t.Errorf("GetBuild by %q: %d, %q", token, status, body)
		}
	}
	if status, body := ask(t, server, "GetBuild", "nope", "secret"); status != 404 || !strings.Contains(body, "not found") {
		t.Errorf("an unknown build: %d, %q", status, body)
	}
	if status, _ := ask(t, server, "GetPullInfo", made.Msg.BuildId, "secret"); status != 404 {
		t.Errorf("a build that was not saved: %d", status)
	}
	play(t, server, `{"pull_info": {"reference": "r.test/p1:build-1", "username": "u", "password": "pw", "options": [{"command": 1, "save": true}]}}`)
	_, body := ask(t, server, "GetPullInfo", made.Msg.BuildId, "secret")
	if got := texts([]byte(body), 1); len(got) != 1 || got[0] != "r.test/p1:build-1" || texts([]byte(body), 3)[0] != "pw" || len(texts([]byte(body), 4)) != 1 {
		t.Errorf("pull info: %q", body)
	}
	if fields := string(calls(t, server, "?method=GetPullInfo")[0].Fields); fields != `{"build_id":"build-1"}` {
		t.Errorf("fields: %s", fields)
	}
}

func TestBuildsAreListedInPages(t *testing.T) {
	server, client := start(t, false)
	play(t, server, `{"page_size": 2}`)
	for range 3 {
		if _, err := client.CreateBuild(context.Background(), with(&cliv1.CreateBuildRequest{}, "secret")); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	request := &cliv1.ListBuildsRequest{ProjectId: "p1", PageSize: 10}
	for pages := 1; ; pages++ {
		page, err := client.ListBuilds(context.Background(), with(request, "secret"))
		if err != nil || pages > 2 {
			t.Fatalf("page %d: %v", pages, err)
		}
		for _, b := range page.Msg.Builds {
			got = append(got, b.Id)
		}
		if request.PageToken = page.Msg.NextPageToken; request.PageToken == "" {
			break
		}
	}
	if strings.Join(got, " ") != "build-3 build-2 build-1" {
		t.Errorf("builds: %v", got)
	}
}
