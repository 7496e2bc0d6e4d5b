package proto

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// The root of the project, as go test sees it.
const root = "../.."

// setVariable may name a FileDescriptorSet with imports; otherwise protoc makes one.
const setVariable = "LIBDEPOT_PROTO_SET"

// ProtoFiles lists the files below proto/, relative to it, sorted.
func ProtoFiles() ([]string, error) {
	dir := filepath.Join(root, "proto")
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".proto") {
			relative, _ := filepath.Rel(dir, path)
			files = append(files, filepath.ToSlash(relative))
		}
		return err
	})
	slices.Sort(files)
	return files, err
}

// OurSet is the descriptors of every file below proto/ and of what they import.
func OurSet() (*descriptorpb.FileDescriptorSet, error) {
	path := os.Getenv(setVariable)
	if path == "" {
		files, err := ProtoFiles()
		if err != nil {
			return nil, err
		}
		dir, err := os.MkdirTemp("", "proto-set")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		path = filepath.Join(dir, "set.pb")
		arguments := []string{"--include_imports", "--descriptor_set_out=" + path,
			"-I" + filepath.Join(root, "proto")}
		out, err := exec.Command("protoc", append(arguments, files...)...).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("protoc: %w: %s", err, out)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	set := &descriptorpb.FileDescriptorSet{}
	return set, proto.Unmarshal(raw, set)
}

// A LockedFile is one entry of proto/sources.lock.toml.
type LockedFile struct {
	File       string `toml:"file"`
	Module     string `toml:"module"`
	Path       string `toml:"path"`
	Registered string `toml:"registered"`
	Also       string `toml:"also"`
}

func ReadLock() ([]LockedFile, error) {
	raw, err := os.ReadFile(filepath.Join(root, "proto/sources.lock.toml"))
	if err != nil {
		return nil, err
	}
	var lock struct {
		File []LockedFile `toml:"file"`
	}
	decoder := toml.NewDecoder(bytes.NewReader(raw)).DisallowUnknownFields()
	return lock.File, decoder.Decode(&lock)
}

// An Allowance is one entry of allow.txt: a difference that is meant, word for word, and why.
type Allowance struct {
	Difference
	Because string
}

// ReadAllowances parses entries of three lines, "KIND SYMBOL", "  is DETAIL" and "  because REASON",
// with blank lines and # comments between them. A long detail or reason may go on, indented deeper.
func ReadAllowances(text string) ([]Allowance, error) {
	var all []Allowance
	var into *string
	for number, line := range strings.Split(text, "\n") {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		indent := len(line) - len(strings.TrimLeft(line, " "))
		switch {
		case word == "" || word[0] == '#':
		case indent == 0 && slices.Contains([]string{"extra", "lacks", "differs"}, word):
			all = append(all, Allowance{Difference: Difference{Kind: word, Symbol: rest}})
			into = nil
		case indent == 2 && word == "is" && len(all) > 0:
			into = &all[len(all)-1].Detail
			*into = rest
		case indent == 2 && word == "because" && len(all) > 0:
			into = &all[len(all)-1].Because
			*into = rest
		case indent > 2 && into != nil:
			*into += " " + strings.TrimSpace(line)
		default:
			return nil, fmt.Errorf("allow.txt:%d: cannot read %q", number+1, line)
		}
	}
	for _, a := range all {
		if a.Detail == "" || a.Because == "" {
			return nil, fmt.Errorf("allow.txt: %s %s needs both \"is\" and \"because\"", a.Kind, a.Symbol)
		}
	}
	return all, nil
}

// Unexplained returns the differences without an allowance and the allowances without a difference.
func Unexplained(found []Difference, allowed []Allowance) (new, stale []string) {
	left := map[Difference]bool{}
	for _, a := range allowed {
		left[a.Difference] = true
	}
	for _, d := range found {
		if !left[d] {
			new = append(new, d.String())
		}
		delete(left, d)
	}
	for d := range left {
		stale = append(stale, d.String())
	}
	slices.Sort(stale)
	return new, stale
}
