// Package proto proves the files in proto/ wire-compatible with the modules that they mirror: the
// descriptors that protoc makes of ours are held, symbol by symbol, against those that upstream's
// generated Go code registers. What is different on purpose stands in allow.txt with its reason.
package proto

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// A Difference between our files and upstream's.
type Difference struct {
	// "extra": upstream has no such symbol. "lacks": we have none. "differs": both have it.
	Kind   string
	Symbol string
	// For "extra" the whole shape of ours, for "differs" ours and theirs, for "lacks" theirs.
	Detail string
}

func (d Difference) String() string { return d.Kind + " " + d.Symbol + ": " + d.Detail }

// resolver finds upstream's descriptors; *protoregistry.Files is one.
type resolver interface {
	FindDescriptorByName(protoreflect.FullName) (protoreflect.Descriptor, error)
}

// Compare holds every message, enum and service of set, the well-known types aside, against
// upstream, and the upstream files that they came from against set.
func Compare(set *descriptorpb.FileDescriptorSet, upstream resolver) ([]Difference, error) {
	ours, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, err
	}
	c := &comparison{upstream: upstream}
	theirFiles := map[string]protoreflect.FileDescriptor{}
	for _, file := range ownFiles(ours) {
		for _, symbol := range topLevel(file) {
			if theirs := c.symbol(symbol); theirs != nil {
				theirFiles[theirs.ParentFile().Path()] = theirs.ParentFile()
			}
		}
	}
	for _, file := range theirFiles {
		for _, theirs := range topLevel(file) {
			if _, err := ours.FindDescriptorByName(theirs.FullName()); err != nil {
				c.add("lacks", theirs, shape(theirs))
			}
		}
	}
	slices.SortFunc(c.found, func(a, b Difference) int {
		return strings.Compare(a.Symbol+a.Kind, b.Symbol+b.Kind)
	})
	return c.found, nil
}

func ownFiles(files *protoregistry.Files) []protoreflect.FileDescriptor {
	var own []protoreflect.FileDescriptor
	files.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if file.Package() != "google.protobuf" {
			own = append(own, file)
		}
		return true
	})
	return own
}

func topLevel(file protoreflect.FileDescriptor) []protoreflect.Descriptor {
	all := slices.Concat(list[protoreflect.Descriptor](file.Messages()),
		list[protoreflect.Descriptor](file.Enums()))
	return append(all, list[protoreflect.Descriptor](file.Services())...)
}

// list copies one of protoreflect's read-only lists.
func list[D any, E protoreflect.Descriptor, L interface {
	Len() int
	Get(int) E
}](l L) []D {
	out := make([]D, l.Len())
	for i := range out {
		out[i] = any(l.Get(i)).(D)
	}
	return out
}

type comparison struct {
	upstream resolver
	found    []Difference
}

func (c *comparison) add(kind string, d protoreflect.Descriptor, detail string) {
	c.found = append(c.found, Difference{kind, string(d.FullName()), detail})
}

// symbol compares one top-level or nested declaration; it returns upstream's, nil if there is none.
func (c *comparison) symbol(ours protoreflect.Descriptor) protoreflect.Descriptor {
	theirs, err := c.upstream.FindDescriptorByName(ours.FullName())
	if err != nil {
		c.add("extra", ours, shape(ours))
		return nil
	}
	switch ours := ours.(type) {
	case protoreflect.MessageDescriptor:
		if theirs, ok := theirs.(protoreflect.MessageDescriptor); ok {
			c.message(ours, theirs)
			return theirs
		}
	case protoreflect.EnumDescriptor:
		if theirs, ok := theirs.(protoreflect.EnumDescriptor); ok {
			c.members(list[protoreflect.Descriptor](ours.Values()),
				list[protoreflect.Descriptor](theirs.Values()))
			return theirs
		}
	case protoreflect.ServiceDescriptor:
		if theirs, ok := theirs.(protoreflect.ServiceDescriptor); ok {
			c.members(list[protoreflect.Descriptor](ours.Methods()),
				list[protoreflect.Descriptor](theirs.Methods()))
			return theirs
		}
	}
	c.add("differs", ours, "another kind of declaration upstream")
	return theirs
}

func (c *comparison) message(ours, theirs protoreflect.MessageDescriptor) {
	c.members(list[protoreflect.Descriptor](ours.Fields()),
		list[protoreflect.Descriptor](theirs.Fields()))
	for _, nested := range nestedIn(ours) {
		c.symbol(nested)
	}
	for _, nested := range nestedIn(theirs) {
		if !slices.ContainsFunc(nestedIn(ours), func(d protoreflect.Descriptor) bool {
			return d.FullName() == nested.FullName()
		}) {
			c.add("lacks", nested, shape(nested))
		}
	}
}

// nestedIn lists the messages and enums declared in m. Map entries are part of their field's shape.
func nestedIn(m protoreflect.MessageDescriptor) []protoreflect.Descriptor {
	nested := slices.DeleteFunc(list[protoreflect.MessageDescriptor](m.Messages()),
		func(n protoreflect.MessageDescriptor) bool { return n.IsMapEntry() })
	out := list[protoreflect.Descriptor](m.Enums())
	for _, n := range nested {
		out = append(out, n)
	}
	return out
}

// members compares fields, enum values or methods by their full names, which makes a changed number
// a difference in shape and a changed name one extra and one lacking member.
func (c *comparison) members(ours, theirs []protoreflect.Descriptor) {
	byName := map[protoreflect.FullName]protoreflect.Descriptor{}
	for _, t := range theirs {
		byName[t.FullName()] = t
	}
	for _, o := range ours {
		t := byName[o.FullName()]
		delete(byName, o.FullName())
		if t == nil {
			c.add("extra", o, shape(o))
		} else if so, st := shape(o), shape(t); so != st {
			c.add("differs", o, so+" is upstream "+st)
		}
	}
	for _, t := range theirs {
		if byName[t.FullName()] != nil {
			c.add("lacks", t, shape(t))
		}
	}
}

// shape is everything about a declaration that the wire or its JSON form depends on.
func shape(d protoreflect.Descriptor) string {
	switch d := d.(type) {
	case protoreflect.FieldDescriptor:
		return fieldShape(d)
	case protoreflect.EnumValueDescriptor:
		return fmt.Sprintf("%s=%d", d.Name(), d.Number())
	case protoreflect.MethodDescriptor:
		return fmt.Sprintf("%s(%s%s)%s%s", d.Name(), stream(d.IsStreamingClient()),
			d.Input().FullName(), stream(d.IsStreamingServer()), d.Output().FullName())
	case protoreflect.MessageDescriptor:
		inner := list[protoreflect.Descriptor](d.Fields())
		return "{" + shapes(append(inner, nestedIn(d)...)) + "}"
	case protoreflect.EnumDescriptor:
		return "enum{" + shapes(list[protoreflect.Descriptor](d.Values())) + "}"
	case protoreflect.ServiceDescriptor:
		return "service{" + shapes(list[protoreflect.Descriptor](d.Methods())) + "}"
	}
	panic("no shape for " + string(d.FullName()))
}

func shapes(all []protoreflect.Descriptor) string {
	out := make([]string, len(all))
	for i, d := range all {
		out[i] = shape(d)
		switch d.(type) {
		case protoreflect.MessageDescriptor, protoreflect.EnumDescriptor:
			out[i] = string(d.Name()) + out[i]
		}
	}
	return strings.Join(out, ", ")
}

func stream(yes bool) string {
	if yes {
		return "stream "
	}
	return ""
}

func fieldShape(f protoreflect.FieldDescriptor) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d ", f.Name(), f.Number())
	switch {
	case f.IsMap():
		fmt.Fprintf(&b, "map<%s,%s>", typeName(f.MapKey()), typeName(f.MapValue()))
	case f.Cardinality() == protoreflect.Repeated:
		b.WriteString("repeated " + typeName(f))
		if isNumber(f) && !f.IsPacked() {
			b.WriteString(" unpacked")
		}
	default:
		if f.Cardinality() == protoreflect.Required {
			b.WriteString("required ")
		}
		if f.HasOptionalKeyword() {
			b.WriteString("optional ")
		}
		b.WriteString(typeName(f))
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
			fmt.Fprintf(&b, " oneof %s", o.Name())
		}
	}
	if f.JSONName() != defaultJSONName(string(f.Name())) {
		fmt.Fprintf(&b, " json %s", f.JSONName())
	}
	return b.String()
}

func typeName(f protoreflect.FieldDescriptor) string {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return string(f.Message().FullName())
	case protoreflect.EnumKind:
		return string(f.Enum().FullName())
	}
	return f.Kind().String()
}

func isNumber(f protoreflect.FieldDescriptor) bool {
	switch f.Kind() {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind,
		protoreflect.GroupKind:
		return false
	}
	return true
}

// defaultJSONName is protobuf's rule: an underscore goes and lifts the letter after it.
func defaultJSONName(name string) string {
	var b strings.Builder
	up := false
	for _, r := range name {
		if r == '_' {
			up = true
			continue
		}
		if up {
			b.WriteString(strings.ToUpper(string(r)))
		} else {
			b.WriteRune(r)
		}
		up = false
	}
	return b.String()
}
