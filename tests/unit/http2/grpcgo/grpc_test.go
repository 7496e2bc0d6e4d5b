// Package http2 calls core/http2 with grpc-go, which is what BuildKit's daemon calls a session with.
package http2

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

var server string

// TestMain finds the server, or builds it where no one else has.
func TestMain(m *testing.M) {
	if server = os.Getenv("DEPOT_GRPCGO_SERVER"); server == "" {
		if err := buildServer(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func buildServer() error {
	root, err := filepath.Abs("../../../..")
	if err != nil {
		return err
	}
	build := filepath.Join(root, "build", "http2-go")
	for _, args := range [][]string{
		{"-S", root, "-B", build, "-G", "Ninja", "-DDEPOT_BUILD_TESTS=ON", "-DDEPOT_ONLY=http2"},
		{"--build", build, "--target", "http2_grpcgo_server"},
	} {
		if out, err := exec.Command("cmake", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("cmake %v: %w\n%s", args, err, out)
		}
	}
	server = filepath.Join(build, "tests", "unit", "http2", "grpcgo", "http2_grpcgo_server")
	return nil
}

// raw sends bytes as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = bytes.Clone(data); return nil }
func (raw) Name() string                       { return "raw" }

func dial(t *testing.T, more ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	cmd := exec.Command(server)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	ours.Close()
	var once sync.Mutex
	options := append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			if !once.TryLock() {
				return nil, fmt.Errorf("one connection only")
			}
			return conn, nil
		}),
	}, more...)
	client, err := grpc.NewClient("passthrough:///session", options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return client
}

func call(ctx context.Context, client *grpc.ClientConn, method, request string) (string, error) {
	in, out := []byte(request), []byte(nil)
	err := client.Invoke(ctx, "/test.Test/"+method, &in, &out)
	return string(out), err
}

func stream(t *testing.T, ctx context.Context, client *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	s, err := client.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.Test/"+method)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestUnary(t *testing.T) {
	client := dial(t)
	for _, size := range []int{0, 1, 100, 16379, 16384, 70000, 250 << 10} {
		want := strings.Repeat("x", size)
		if got, err := call(t.Context(), client, "Echo", want); err != nil || got != want {
			t.Fatalf("%d bytes: %d came back, %v", size, len(got), err)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	client := dial(t)
	var wait sync.WaitGroup
	for i := range 3000 {
		wait.Go(func() {
			want := strings.Repeat(strconv.Itoa(i), i%500)
			if got, err := call(t.Context(), client, "Echo", want); err != nil || got != want {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wait.Wait()
}

func TestMetadata(t *testing.T) {
	client := dial(t)
	ctx, want := t.Context(), ""
	for i := range 4000 {
		value := fmt.Sprintf("pattern/%d/** ", i)
		ctx, want = metadata.AppendToOutgoingContext(ctx, "add", value), want+value
	}
	got, err := call(ctx, client, "Echo", "")
	if err != nil || got != want {
		t.Fatalf("%d bytes of %d, %v", len(got), len(want), err)
	}
}

func TestErrors(t *testing.T) {
	client := dial(t)
	_, err := call(t.Context(), client, "Fail", "ä\n")
	s := status.Convert(err)
	if s.Code() != codes.FailedPrecondition || s.Message() != "100 % wrong: ä\n" {
		t.Errorf("%v", err)
	}
	if d := s.Details(); len(d) != 1 || d[0].(*durationpb.Duration).Seconds != 5 {
		t.Errorf("details %v", d)
	}
	if _, err := call(t.Context(), client, "Nothing", ""); status.Code(err) != codes.Unimplemented {
		t.Errorf("%v", err)
	}
	if _, err := call(t.Context(), client, "Echo", strings.Repeat("x", 16<<20+1)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("%v", err)
	}
	if _, err := call(t.Context(), client, "Echo", "still there"); err != nil {
		t.Error(err)
	}
}

func TestChat(t *testing.T) {
	client := dial(t)
	s := stream(t, t.Context(), client, "Chat")
	go func() {
		for i := range 2000 {
			message := bytes.Repeat([]byte{byte(i)}, i*31%9000)
			if err := s.SendMsg(&message); err != nil {
				t.Error(err)
			}
		}
		s.CloseSend()
	}()
	for i := range 2000 {
		var message []byte
		if err := s.RecvMsg(&message); err != nil || !bytes.Equal(message, bytes.Repeat([]byte{byte(i)}, i*31%9000)) {
			t.Fatalf("message %d: %d bytes, %v", i, len(message), err)
		}
	}
	if err := s.RecvMsg(new([]byte)); err != io.EOF {
		t.Fatal(err)
	}
}

// Windows of every kind: grpc-go's own estimate, and fixed ones.
func TestFlood(t *testing.T) {
	for name, options := range map[string][]grpc.DialOption{
		"estimated": nil,
		"64 KiB":    {grpc.WithStaticStreamWindowSize(65535), grpc.WithStaticConnWindowSize(65535)},
		"odd":       {grpc.WithStaticStreamWindowSize(65537), grpc.WithStaticConnWindowSize(99991)},
		"1 MiB":     {grpc.WithStaticStreamWindowSize(1 << 20), grpc.WithStaticConnWindowSize(4 << 20)},
	} {
		t.Run(name, func(t *testing.T) {
			client := dial(t, options...)
			var wait sync.WaitGroup
			for range 3 {
				wait.Go(func() {
					s := stream(t, t.Context(), client, "Flood")
					request := []byte("1500")
					if err := s.SendMsg(&request); err != nil {
						t.Error(err)
					}
					for left := 1500; left > 0; left-- {
						var message []byte
						if err := s.RecvMsg(&message); err != nil || !bytes.Equal(message, bytes.Repeat([]byte{byte(left)}, left*7919%40000)) {
							t.Errorf("message %d: %d bytes, %v", left, len(message), err)
							return
						}
					}
					if err := s.RecvMsg(new([]byte)); err != io.EOF {
						t.Error(err)
					}
				})
			}
			wait.Wait()
		})
	}
}

func TestHold(t *testing.T) {
	client := dial(t)
	s := stream(t, t.Context(), client, "Hold")
	const total = 4 << 20
	sent := make(chan error, 1)
	first := make([]byte, 1000)
	if err := s.SendMsg(&first); err != nil {
		t.Fatal(err)
	}
	go func() {
		message := make([]byte, 1<<20)
		for range total >> 20 {
			if err := s.SendMsg(&message); err != nil {
				sent <- err
				return
			}
		}
		sent <- s.CloseSend()
	}()
	// Others go on; then the held one does.
	for range 100 {
		if _, err := call(t.Context(), client, "Echo", strings.Repeat("x", 100000)); err != nil {
			t.Fatal(err)
		}
	}
	if len(sent) != 0 {
		t.Error("4 MiB were taken by a stream that is held at 256 KiB")
	}
	if _, err := call(t.Context(), client, "Release", ""); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	var answer []byte
	if err := s.RecvMsg(&answer); err != nil || string(answer) != strconv.Itoa(total+1000) {
		t.Fatalf("%s, %v", answer, err)
	}
}

func TestCancel(t *testing.T) {
	client := dial(t)
	for range 500 {
		ctx, cancel := context.WithCancel(t.Context())
		s := stream(t, ctx, client, "Hold")
		message := []byte("x")
		if err := s.SendMsg(&message); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := s.RecvMsg(new([]byte)); status.Code(err) != codes.Canceled {
			t.Fatal(err)
		}
	}
	// Streams are counted when their reset has come, which is before what is sent later.
	if ends, err := call(t.Context(), client, "Ends", ""); err != nil || ends == "0" {
		t.Fatalf("%s ended, %v", ends, err)
	}
}

func TestGoAway(t *testing.T) {
	client := dial(t)
	s := stream(t, t.Context(), client, "Chat")
	message := []byte("before")
	if err := s.SendMsg(&message); err != nil {
		t.Fatal(err)
	}
	if err := s.RecvMsg(&message); err != nil {
		t.Fatal(err)
	}
	if got, err := call(t.Context(), client, "Bye", ""); err != nil || got != "bye" {
		t.Fatalf("%q, %v", got, err)
	}
	// What is under way finishes.
	message = []byte("after")
	if err := s.SendMsg(&message); err != nil {
		t.Fatal(err)
	}
	if err := s.RecvMsg(&message); err != nil || string(message) != "after" {
		t.Fatalf("%q, %v", message, err)
	}
	s.CloseSend()
	if err := s.RecvMsg(&message); err != io.EOF {
		t.Fatal(err)
	}
	if _, err := call(t.Context(), client, "Echo", ""); status.Code(err) != codes.Unavailable {
		t.Fatalf("a new call: %v", err)
	}
}
