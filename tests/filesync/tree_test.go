package filesync

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tree makes files below a directory of its own.
type tree struct {
	t    *testing.T
	root string
}

func newTree(t *testing.T) *tree { return &tree{t, t.TempDir()} }

func (tr *tree) must(err error) {
	tr.t.Helper()
	if err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *tree) path(name string) string { return filepath.Join(tr.root, name) }

func (tr *tree) parents(name string) string {
	tr.must(os.MkdirAll(filepath.Dir(tr.path(name)), 0o755))
	return tr.path(name)
}

func (tr *tree) file(name, content string) {
	tr.t.Helper()
	tr.must(os.WriteFile(tr.parents(name), []byte(content), 0o644))
}
func (tr *tree) dir(name string)                { tr.must(os.MkdirAll(tr.path(name), 0o755)) }
func (tr *tree) symlink(target, name string)    { tr.must(os.Symlink(target, tr.parents(name))) }
func (tr *tree) link(old, name string)          { tr.must(os.Link(tr.path(old), tr.parents(name))) }
func (tr *tree) chmod(name string, mode uint32) { tr.must(syscall.Chmod(tr.path(name), mode)) }
func (tr *tree) remove(name string)             { tr.must(os.RemoveAll(tr.path(name))) }
func (tr *tree) mknod(name string, mode uint32, device int) {
	tr.t.Helper()
	if err := syscall.Mknod(tr.parents(name), mode, device); err != nil {
		tr.t.Fatalf("mknod %s: %v (this test needs root)", name, err)
	}
}

func (tr *tree) touch(name string, at time.Time) {
	tr.t.Helper()
	stamp := unix.NsecToTimespec(at.UnixNano())
	tr.must(unix.UtimesNanoAt(unix.AT_FDCWD, tr.path(name), []unix.Timespec{stamp, stamp}, unix.AT_SYMLINK_NOFOLLOW))
}

func (tr *tree) xattr(name, key, value string) {
	tr.t.Helper()
	if err := unix.Lsetxattr(tr.path(name), key, []byte(value), 0); err != nil {
		tr.t.Fatalf("%s of %s: %v (this test needs root, and TMPDIR on a file system with extended attributes)", key, name, err)
	}
}

// everything has one of each sort of entry.
func everything(t *testing.T) *tree {
	tr := newTree(t)
	for _, name := range []string{"foo/bar", "foo-bar", "foo.txt", "foo/baz/qux.go", "a/b/c/d/e", "a/x.go", "z.go", "Dockerfile",
		".dockerignore", "docs/README.md", "docs/guide.md", "dir with space/ü", "bad\xff/na\xfeme", "new\nline", "back\\slash", "star*",
		"q?", "[br]", "+plus", "é☺", "src/main.go", "src/vendor/lib/lib.go", "src/vendor/lib/deep/er/file.txt"} {
		tr.file(name, strings.Repeat(name, 3))
	}
	tr.file("empty", "")
	tr.dir("empty-dir/inner")
	tr.dir("docs/only-dirs/here")
	tr.symlink("bar", "foo/link")
	tr.symlink("/abs/lute", "foo/absolute")
	tr.symlink("/src", "to-src")
	tr.symlink("../docs", "a/to-docs")
	tr.symlink("nowhere", "dangling")
	tr.symlink("loop-b", "loop-a")
	tr.symlink("loop-a", "loop-b")
	tr.symlink("../../../../../etc/passwd", "outside")
	tr.symlink("to-src/main.go", "chain")
	tr.file("links/first", "linked")
	tr.link("links/first", "links/second")
	tr.link("links/first", "a-link")
	tr.link("links/first", "zz/third")
	tr.must(os.Link(tr.path("dangling"), tr.path("dangling-too")))
	tr.mknod("fifo", syscall.S_IFIFO|0o600, 0)
	tr.link("fifo", "fifo-too")
	tr.mknod("socket", syscall.S_IFSOCK|0o755, 0)
	tr.mknod("char", syscall.S_IFCHR|0o666, 1<<8|3)
	tr.mknod("block", syscall.S_IFBLK|0o660, 7<<8|0xff)
	tr.mknod("big-device", syscall.S_IFCHR|0o600, 0xabc<<8|0x34|0x12000000)
	tr.file("bits/setuid", "x")
	tr.chmod("bits/setuid", 0o4755)
	tr.file("bits/setgid", "x")
	tr.chmod("bits/setgid", 0o2711)
	tr.file("bits/none", "")
	tr.chmod("bits/none", 0)
	tr.dir("bits/sticky")
	tr.chmod("bits/sticky", 0o1777)
	sparse, err := os.Create(tr.path("sparse"))
	tr.must(err)
	tr.must(sparse.Truncate(3 << 20))
	_, err = sparse.WriteAt([]byte("island"), 1<<20)
	tr.must(err)
	tr.must(sparse.Close())
	tr.xattr("foo.txt", "user.one", "1")
	tr.xattr("foo.txt", "user.two", "\x00\xffbinary")
	tr.xattr("foo.txt", "user.empty", "")
	tr.xattr("docs", "user.of-dir", "d")
	tr.xattr("foo/link", "trusted.of-link", "l")
	tr.xattr("fifo", "trusted.of-fifo", "f")
	tr.touch("foo.txt", time.Unix(1700000000, 123456789))
	tr.touch("z.go", time.Unix(-5, 999999999))
	tr.touch("foo/link", time.Unix(1, 2))
	tr.touch("Dockerfile", time.Unix(0, 0))
	tr.touch("docs", time.Unix(1234567890, 1))
	return tr
}

// randomTree has few names, so that patterns meet them.
func randomTree(t *testing.T, r *rand.Rand) *tree {
	tr := newTree(t)
	names := []string{"a", "b", "ab", "c", "foo", "bar", "a.go", "b.go", "é", "a-b", "a.b", "[ab]", "*"}
	var made []string
	for range 40 {
		parts := make([]string, 1+r.Intn(4))
		for i := range parts {
			parts[i] = names[r.Intn(len(names))]
		}
		name := filepath.Join(parts...)
		if os.MkdirAll(filepath.Dir(tr.path(name)), 0o755) != nil {
			continue // a file is in the way
		}
		if _, err := os.Lstat(tr.path(name)); err == nil {
			continue
		}
		switch r.Intn(8) {
		case 0:
			tr.dir(name)
		case 1, 2:
			target := filepath.Join(names[r.Intn(len(names))], names[r.Intn(len(names))])
			target = []string{"", "/", "../", "./", "../../"}[r.Intn(5)] + target
			tr.symlink([]string{target, names[r.Intn(len(names))], "..", "/", "."}[min(r.Intn(8), 4)], name)
		case 3:
			if len(made) > 0 {
				tr.link(made[r.Intn(len(made))], name)
			}
		default:
			tr.file(name, name)
			made = append(made, name)
		}
	}
	return tr
}

// describe is all that must survive a transfer, entry by entry.
func describe(t *testing.T, root string) map[string]string {
	t.Helper()
	entries := map[string]string{}
	inodes := map[uint64]string{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		if name == "." {
			return nil
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return err
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, "mode %o mtime %d.%09d ", st.Mode, st.Mtim.Sec, st.Mtim.Nsec)
		switch st.Mode & syscall.S_IFMT {
		case syscall.S_IFREG:
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "content %q ", content)
		case syscall.S_IFLNK:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "target %q ", target)
		case syscall.S_IFCHR, syscall.S_IFBLK:
			fmt.Fprintf(&b, "device %x ", st.Rdev)
		}
		if st.Mode&syscall.S_IFMT != syscall.S_IFDIR && st.Mode&syscall.S_IFMT != syscall.S_IFLNK && st.Nlink > 1 {
			if first, ok := inodes[st.Ino]; ok {
				fmt.Fprintf(&b, "link to %q ", first)
			} else {
				inodes[st.Ino] = name
			}
		}
		b.WriteString(xattrs(path))
		entries[name] = b.String()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func xattrs(path string) string {
	names, value := make([]byte, 64<<10), make([]byte, 64<<10)
	size, err := unix.Llistxattr(path, names)
	if err != nil {
		return ""
	}
	found := map[string]string{}
	for _, key := range strings.Split(string(names[:size]), "\x00") {
		if key == "" {
			continue
		}
		if size, err := unix.Lgetxattr(path, key, value); err == nil {
			found[key] = string(value[:size])
		}
	}
	return fmt.Sprintf("xattrs %q", found)
}

func compareTrees(t *testing.T, want, got string) {
	t.Helper()
	wanted, found := describe(t, want), describe(t, got)
	for name, description := range wanted {
		if found[name] != description {
			t.Errorf("%q:\n got %.300s\nwant %.300s", name, found[name], description)
		}
	}
	for name := range found {
		if _, ok := wanted[name]; !ok {
			t.Errorf("%q was not there", name)
		}
	}
}
