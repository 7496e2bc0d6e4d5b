// Package progress holds core/progress against BuildKit's own displays: the same batches at the same
// times must come out as the same bytes. bridge/ is the C++ half, started as a process of its own;
// this half runs under a clock that testing/synctest turns.
//
// Where BuildKit's display chooses by the order of a Go map, which is random (which of several steps
// that began in one batch is shown first), ours takes the one that came first, and it must be one of
// the outputs that BuildKit's can have: it is run until it gives that one.
package progress

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/progress/progressui"
	"github.com/opencontainers/go-digest"
)

const tries = 3000

// TestMain finds the bridge, or builds it where no one else has.
func TestMain(m *testing.M) {
	if bridge = os.Getenv("DEPOT_PROGRESS_BRIDGE"); bridge == "" {
		if err := buildBridge(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

var bridge string

func buildBridge() error {
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	build := filepath.Join(root, "build", "progress-go")
	for _, args := range [][]string{
		{"-S", root, "-B", build, "-G", "Ninja", "-DDEPOT_BUILD_TESTS=ON", "-DDEPOT_ONLY=progress;wire"},
		{"--build", build, "--target", "progress_bridge"},
	} {
		if out, err := exec.Command("cmake", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("cmake %v: %w\n%s", args, err, out)
		}
	}
	bridge = filepath.Join(build, "tests", "progress", "progress_bridge")
	return nil
}

// event is a batch and when it came.
type event struct {
	at   time.Duration
	line []byte
}

func parse(t *testing.T, stream []byte) []event {
	var events []event
	for _, line := range bytes.Split(bytes.TrimSuffix(stream, []byte("\n")), []byte("\n")) {
		at, batch, ok := bytes.Cut(line, []byte(" "))
		if !ok {
			t.Fatalf("not a line of a stream: %q", line)
		}
		ns, err := strconv.ParseInt(string(at), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, event{time.Duration(ns), batch})
	}
	return events
}

func (e event) status(t *testing.T) *client.SolveStatus {
	var status client.SolveStatus
	if err := json.Unmarshal(e.line, &status); err != nil {
		t.Fatal(err)
	}
	return &status
}

// theirs is what BuildKit's display prints, by a clock of its own.
func theirs(t *testing.T, mode progressui.DisplayMode, events []event) []byte {
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		display, err := progressui.NewDisplay(&out, mode)
		if err != nil {
			t.Fatal(err)
		}
		batches := make(chan *client.SolveStatus)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, err := display.UpdateFrom(t.Context(), batches); err != nil {
				t.Error(err)
			}
		}()
		began := time.Now()
		for _, e := range events {
			time.Sleep(e.at - time.Since(began))
			batches <- e.status(t)
		}
		close(batches)
		<-done
	})
	return out.Bytes()
}

func ours(t *testing.T, mode string, stream []byte) []byte {
	ran := exec.Command(bridge, mode)
	ran.Stdin = bytes.NewReader(stream)
	var complaint bytes.Buffer
	ran.Stderr = &complaint
	out, err := ran.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaint.Bytes())
	}
	return out
}

func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// hold fails unless our output is one that theirs can have; says how many runs it took.
func hold(t *testing.T, stream []byte) {
	events := parse(t, stream)
	got := ours(t, "plain", stream)
	var nearest []byte
	for i := range tries {
		want := theirs(t, progressui.PlainMode, events)
		if bytes.Equal(got, want) {
			if i > 0 {
				t.Logf("BuildKit's display gives this output in one of %d runs", i+1)
			}
			return
		}
		if nearest == nil || common(got, want) > common(got, nearest) {
			nearest = want
		}
	}
	at := max(0, common(got, nearest)-300)
	t.Errorf("differs after:\n%s\n--- ours goes on:\n%s\n--- theirs:\n%s", got[at:common(got, nearest)],
		clip(got[common(got, nearest):]), clip(nearest[common(got, nearest):]))
}

func clip(text []byte) []byte {
	return text[:min(len(text), 400)]
}

func TestRecordedStreams(t *testing.T) {
	files, err := filepath.Glob("streams/*")
	if err != nil || len(files) < 13 {
		t.Fatalf("streams: %v %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			stream, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			hold(t, stream)
			var want bytes.Buffer
			for _, e := range parse(t, stream) {
				want.Write(e.line)
				want.WriteByte('\n')
			}
			if got := ours(t, "rawjson", stream); !bytes.Equal(got, want.Bytes()) {
				t.Errorf("rawjson comes back differently at byte %d", common(got, want.Bytes()))
			}
		})
	}
}

// builder tells of random steps, one thing at a time.
type builder struct {
	*rand.Rand
	now   time.Duration
	steps []*client.Vertex
	out   bytes.Buffer
}

func (b *builder) time() *time.Time {
	at := time.Unix(1700000000, 0).UTC().Add(b.now)
	return &at
}

func (b *builder) tell(status client.SolveStatus) {
	line, err := json.Marshal(status)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(&b.out, "%d %s\n", b.now, line)
	// Never the moment of a tick: which of two things at one moment is first is chance.
	b.now += time.Duration(b.Int63n(int64([]time.Duration{time.Millisecond, 200 * time.Millisecond, 1500 * time.Millisecond}[b.Intn(3)]))) + 1
}

func (b *builder) step() {
	id := len(b.steps)
	v := &client.Vertex{Digest: digest.FromString(strconv.Itoa(id)), Name: fmt.Sprintf("[stage %d] RUN %d", id, id)}
	if b.Intn(4) == 0 {
		group := b.Intn(2)
		v.ProgressGroup = &pb.ProgressGroup{Id: fmt.Sprint("group", group), Name: fmt.Sprint("group ", group), Weak: b.Intn(2) == 0}
	}
	b.steps = append(b.steps, v)
}

func (b *builder) vertex(v *client.Vertex) {
	switch b.Intn(6) {
	case 0: // told again as it is
	case 1, 2:
		v.Started, v.Completed, v.Error, v.Cached = b.time(), nil, "", false
	default:
		if v.Started == nil {
			v.Started = b.time()
		} else {
			v.Completed = b.time()
			v.Cached = b.Intn(4) == 0
			v.Error = []string{"", "", "exit code: 1", "failed: context canceled"}[b.Intn(4)]
		}
	}
	b.tell(client.SolveStatus{Vertexes: []*client.Vertex{v}})
}

func (b *builder) status(v *client.Vertex) {
	if v.Started == nil {
		return
	}
	s := &client.VertexStatus{ID: fmt.Sprint("layer ", b.Intn(3)), Vertex: v.Digest, Timestamp: *b.time(),
		Total: int64(b.Intn(3) * 1500), Current: int64(b.Intn(3000)) - 10}
	// One that was told to have started is never told without that again.
	if s.ID != "layer 2" {
		s.Started = v.Started
	}
	if b.Intn(2) == 0 {
		s.Completed = b.time()
	}
	b.tell(client.SolveStatus{Statuses: []*client.VertexStatus{s}})
}

func (b *builder) log(v *client.Vertex) {
	var data strings.Builder
	for range b.Intn(4) {
		data.WriteString([]string{"word ", "\n", "line\n", "\t\x1b[31m\r", "日本", "\xff"}[b.Intn(6)])
	}
	b.tell(client.SolveStatus{Logs: []*client.VertexLog{{Vertex: v.Digest, Stream: 1, Data: []byte(data.String()), Timestamp: *b.time()}}})
}

func TestRandomStreams(t *testing.T) {
	for seed := range int64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			b := &builder{Rand: rand.New(rand.NewSource(seed))}
			for range 5 + b.Intn(40) {
				if len(b.steps) == 0 || len(b.steps) < 4 && b.Intn(5) == 0 {
					b.step()
				}
				v := b.steps[b.Intn(len(b.steps))]
				switch b.Intn(8) {
				case 0, 1, 2:
					b.vertex(v)
				case 3:
					b.status(v)
				case 4:
					b.tell(client.SolveStatus{Warnings: []*client.VertexWarning{{Vertex: v.Digest, Short: []byte("old")}}})
				default:
					b.log(v)
				}
			}
			hold(t, b.out.Bytes())
		})
	}
}
