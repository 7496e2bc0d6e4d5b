package proto

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"encoding/json"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

func ourSet(t *testing.T) *descriptorpb.FileDescriptorSet {
	t.Helper()
	set, err := OurSet()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func unexplained(t *testing.T, set *descriptorpb.FileDescriptorSet) (new, stale []string) {
	t.Helper()
	found, err := Compare(set, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("allow.txt")
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := ReadAllowances(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return Unexplained(found, allowed)
}

func TestFilesAreWireCompatibleWithUpstream(t *testing.T) {
	new, stale := unexplained(t, ourSet(t))
	for _, d := range new {
		t.Errorf("not in allow.txt: %s", d)
	}
	for _, d := range stale {
		t.Errorf("in allow.txt but no longer so: %s", d)
	}
}

// The packages that the client relies on are all there; a file that protoc never saw compares clean.
func TestSetHoldsEveryFile(t *testing.T) {
	files, err := ProtoFiles()
	if err != nil {
		t.Fatal(err)
	}
	var inSet []string
	for _, file := range ourSet(t).File {
		if !strings.HasPrefix(file.GetName(), "google/protobuf/") {
			inSet = append(inSet, file.GetName())
		}
	}
	slices.Sort(inSet)
	if !slices.Equal(files, inSet) {
		t.Errorf("proto/ has %v, the set %v", files, inSet)
	}
	cmake, err := os.ReadFile(filepath.Join(root, "proto/CMakeLists.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if listed := regexp.MustCompile(`\S+\.proto\b`).FindAllString(string(cmake), -1); !slices.Equal(files, listed) {
		t.Errorf("proto/ has %v, its CMakeLists.txt %v", files, listed)
	}
}

func TestLockNamesTheSourceOfEveryFile(t *testing.T) {
	lock, err := ReadLock()
	if err != nil {
		t.Fatal(err)
	}
	files, err := ProtoFiles()
	if err != nil {
		t.Fatal(err)
	}
	ours, err := protodesc.NewFiles(ourSet(t))
	if err != nil {
		t.Fatal(err)
	}
	versions := requiredVersions(t)
	var locked []string
	for _, entry := range lock {
		locked = append(locked, entry.File)
		if entry.Module == "" {
			if entry.Also == "" {
				t.Errorf("%s: no source named", entry.File)
			}
			continue
		}
		module, version, _ := strings.Cut(entry.Module, "@")
		if versions[module] != version {
			t.Errorf("%s: locked to %s, go.mod requires %q", entry.File, entry.Module, versions[module])
		}
		if _, err := os.Stat(filepath.Join(moduleDir(t, module), entry.Path)); err != nil {
			t.Errorf("%s: %v", entry.File, err)
		}
		file, err := ours.FindFileByPath(entry.File)
		if err != nil {
			t.Errorf("%s: %v", entry.File, err)
			continue
		}
		from := 0
		for _, symbol := range topLevel(file) {
			theirs, err := protoregistry.GlobalFiles.FindDescriptorByName(symbol.FullName())
			if err != nil {
				continue // TestFilesAreWireCompatibleWithUpstream judges that
			}
			from++
			if got := theirs.ParentFile().Path(); got != entry.Registered {
				t.Errorf("%s: %s comes from %s, not %s", entry.File, symbol.FullName(), got, entry.Registered)
			}
		}
		if from == 0 {
			t.Errorf("%s: nothing of it is in %s", entry.File, entry.Module)
		}
	}
	if !slices.Equal(locked, files) {
		t.Errorf("the lock names %v, proto/ has %v", locked, files)
	}
}

func requiredVersions(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.Command("go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, r := range mod.Require {
		versions[r.Path] = r.Version
	}
	return versions
}

func moduleDir(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatalf("go list -m %s: %v", module, err)
	}
	return strings.TrimSpace(string(out))
}

// core/wire/methods.h spells the method names out; they must be those of the services, all of them.
func TestMethodConstantsAreTheServicesMethods(t *testing.T) {
	ours, err := protodesc.NewFiles(ourSet(t))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, file := range ownFiles(ours) {
		for _, service := range list[protoreflect.ServiceDescriptor](file.Services()) {
			for _, m := range list[protoreflect.MethodDescriptor](service.Methods()) {
				want = append(want, "/"+string(service.FullName())+"/"+string(m.Name()))
			}
		}
	}
	header, err := os.ReadFile(filepath.Join(root, "core/wire/methods.h"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, match := range regexp.MustCompile(`k(\w+) =\s+"(/[^"]+)"`).FindAllStringSubmatch(string(header), -1) {
		got = append(got, match[2])
		if method := match[2][strings.LastIndex(match[2], "/")+1:]; !strings.HasSuffix(match[1], method) {
			t.Errorf("k%s is %s", match[1], match[2])
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("methods.h has\n%s\nthe services\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func message(t *testing.T, set *descriptorpb.FileDescriptorSet, file, name string) *descriptorpb.DescriptorProto {
	t.Helper()
	for _, f := range set.File {
		if f.GetName() != file {
			continue
		}
		for _, m := range f.MessageType {
			if m.GetName() == name {
				return m
			}
		}
	}
	t.Fatalf("no %s in %s", name, file)
	return nil
}

func fileOf(t *testing.T, set *descriptorpb.FileDescriptorSet, name string) *descriptorpb.FileDescriptorProto {
	t.Helper()
	i := slices.IndexFunc(set.File, func(f *descriptorpb.FileDescriptorProto) bool { return f.GetName() == name })
	if i < 0 {
		t.Fatalf("no %s", name)
	}
	return set.File[i]
}

// The comparison itself: each change below must be reported, under the symbol that changed.
func TestComparisonSeesEveryKindOfChange(t *testing.T) {
	const control, depot, ops = "moby/buildkit/v1/control.proto", "depot/cli/v1/build.proto", "pb/ops.proto"
	field := func(set *descriptorpb.FileDescriptorSet, file, m, name string) *descriptorpb.FieldDescriptorProto {
		for _, f := range message(t, set, file, m).Field {
			if f.GetName() == name {
				return f
			}
		}
		t.Fatalf("no %s.%s", m, name)
		return nil
	}
	for _, test := range []struct {
		name   string
		mutate func(*descriptorpb.FileDescriptorSet)
		want   []string
	}{
		{"field number", func(s *descriptorpb.FileDescriptorSet) {
			field(s, control, "SolveRequest", "Internal").Number = proto.Int32(99)
		}, []string{"differs moby.buildkit.v1.SolveRequest.Internal"}},
		{"field name", func(s *descriptorpb.FileDescriptorSet) {
			f := field(s, control, "Vertex", "cached")
			f.Name, f.JsonName = proto.String("was_cached"), proto.String("wasCached")
		}, []string{"extra moby.buildkit.v1.Vertex.was_cached", "lacks moby.buildkit.v1.Vertex.cached"}},
		{"field type", func(s *descriptorpb.FileDescriptorSet) {
			field(s, ops, "Mount", "input").Type = descriptorpb.FieldDescriptorProto_TYPE_SINT64.Enum()
		}, []string{"differs pb.Mount.input"}},
		{"message type", func(s *descriptorpb.FileDescriptorSet) {
			field(s, control, "VertexWarning", "info").TypeName = proto.String(".pb.Range")
		}, []string{"differs moby.buildkit.v1.VertexWarning.info"}},
		{"label", func(s *descriptorpb.FileDescriptorSet) {
			field(s, control, "Vertex", "inputs").Label = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
		}, []string{"differs moby.buildkit.v1.Vertex.inputs"}},
		{"packing", func(s *descriptorpb.FileDescriptorSet) {
			field(s, ops, "Meta", "validExitCodes").Options = &descriptorpb.FieldOptions{Packed: proto.Bool(false)}
		}, []string{"differs pb.Meta.validExitCodes"}},
		{"map value", func(s *descriptorpb.FileDescriptorSet) {
			message(t, s, control, "SolveRequest").NestedType[1].Field[1].Type = descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum()
		}, []string{"differs moby.buildkit.v1.SolveRequest.FrontendAttrs"}},
		{"JSON name", func(s *descriptorpb.FileDescriptorSet) {
			field(s, control, "Vertex", "error").JsonName = proto.String("failure")
		}, []string{"differs moby.buildkit.v1.Vertex.error"}},
		{"out of its oneof", func(s *descriptorpb.FileDescriptorSet) {
			field(s, ops, "Op", "exec").OneofIndex = nil
		}, []string{"differs pb.Op.exec"}},
		{"oneof name", func(s *descriptorpb.FileDescriptorSet) {
			message(t, s, ops, "UserOpt").OneofDecl[0].Name = proto.String("who")
		}, []string{"differs pb.UserOpt.byID", "differs pb.UserOpt.byName"}},
		{"lost field", func(s *descriptorpb.FileDescriptorSet) {
			m := message(t, s, "fsutil/types/stat.proto", "Stat")
			m.Field = slices.DeleteFunc(m.Field, func(f *descriptorpb.FieldDescriptorProto) bool { return f.GetName() == "devminor" })
		}, []string{"lacks fsutil.types.Stat.devminor"}},
		{"lost message", func(s *descriptorpb.FileDescriptorSet) {
			f := fileOf(t, s, depot)
			f.MessageType = slices.DeleteFunc(f.MessageType, func(m *descriptorpb.DescriptorProto) bool { return m.GetName() == "Dockerfile" })
			message(t, s, depot, "ReportBuildContextRequest").Field = message(t, s, depot, "ReportBuildContextRequest").Field[:1]
		}, []string{"lacks depot.cli.v1.Dockerfile", "lacks depot.cli.v1.ReportBuildContextRequest.dockerfiles"}},
		{"lost nested message", func(s *descriptorpb.FileDescriptorSet) {
			m := message(t, s, depot, "CreateBuildResponse")
			m.NestedType = m.NestedType[:2]
			m.Field = slices.DeleteFunc(m.Field, func(f *descriptorpb.FieldDescriptorProto) bool { return f.GetName() == "additional_tags" })
		}, []string{"lacks depot.cli.v1.CreateBuildResponse.Tag", "lacks depot.cli.v1.CreateBuildResponse.additional_tags"}},
		{"enum value", func(s *descriptorpb.FileDescriptorSet) {
			message(t, s, "fsutil/types/wire.proto", "Packet").EnumType[0].Value[2].Number = proto.Int32(7)
		}, []string{"differs fsutil.types.Packet.PACKET_DATA"}},
		{"method shape", func(s *descriptorpb.FileDescriptorSet) {
			fileOf(t, s, control).Service[0].Method[3].ServerStreaming = proto.Bool(false)
		}, []string{"differs moby.buildkit.v1.Control.Status"}},
		{"method request", func(s *descriptorpb.FileDescriptorSet) {
			fileOf(t, s, control).Service[0].Method[6].InputType = proto.String(".moby.buildkit.v1.StatusRequest")
		}, []string{"differs moby.buildkit.v1.Control.Info"}},
		{"a shape that only allow.txt knows", func(s *descriptorpb.FileDescriptorSet) {
			field(s, depot, "GetPullInfoResponse", "password").Number = proto.Int32(9)
		}, []string{"extra depot.cli.v1.GetPullInfoResponse"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			set := ourSet(t)
			test.mutate(set)
			new, _ := unexplained(t, set)
			var got []string
			for _, d := range new {
				symbol, _, _ := strings.Cut(d, ": ")
				got = append(got, symbol)
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("reported %q, want %q", got, test.want)
			}
		})
	}
}

func TestAllowancesNeedAReason(t *testing.T) {
	for _, text := range []string{
		"extra a.B\n  is {}\n",
		"extra a.B\n  because of it\n",
		"extra a.B why not\nnonsense\n",
		"  is {}\n  because nothing was named\n",
	} {
		if all, err := ReadAllowances(text); err == nil {
			t.Errorf("%q was read as %v", text, all)
		}
	}
}
