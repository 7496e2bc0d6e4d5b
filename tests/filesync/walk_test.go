package filesync

import (
	"fmt"
	gofs "io/fs"
	"math/rand"
	"os"
	"testing"

	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

// upstream is what BuildKit's own client serves of a directory.
func upstream(root string, f filter) (fsutil.FS, error) {
	base, err := fsutil.NewFS(root)
	if err != nil {
		return nil, err
	}
	return fsutil.NewFilterFS(base, &fsutil.FilterOpt{
		IncludePatterns: f.include,
		ExcludePatterns: f.exclude,
		FollowPaths:     f.follow,
		Map: func(_ string, st *types.Stat) fsutil.MapResult {
			st.Uid, st.Gid = 0, 0
			return fsutil.MapResultKeep
		},
	})
}

func upstreamStats(t *testing.T, root string, f filter) ([]*types.Stat, error) {
	tree, err := upstream(root, f)
	if err != nil {
		return nil, err
	}
	var list []*types.Stat
	err = fsutil.WithHardlinkReset(tree).Walk(t.Context(), "/", func(_ string, entry gofs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		list = append(list, info.Sys().(*types.Stat).Clone())
		return nil
	})
	return list, err
}

func show(st *types.Stat) string {
	return fmt.Sprintf("%q mode %v uid %d gid %d size %d mtime %d link %q device %d:%d xattrs %q", st.Path, os.FileMode(st.Mode), st.Uid,
		st.Gid, st.Size, st.ModTime, st.Linkname, st.Devmajor, st.Devminor, st.Xattrs)
}

// compareStats is true if both sides sent something.
func compareStats(t *testing.T, root string, f filter, more ...string) bool {
	t.Helper()
	want, wantErr := upstreamStats(t, root, f)
	s := startSender(t, root, f, more...)
	if p, err := s.out.Peek(1); len(p) == 0 { // refused at once
		if wantErr == nil {
			t.Errorf("%v: %v: %s", f, err, s.wait())
		}
		return false
	}
	got, gotErr := s.stats()
	if gotErr != nil || wantErr != nil {
		if (gotErr == nil) != (wantErr == nil) {
			t.Errorf("%v:\n got error %v\nwant error %v", f, gotErr, wantErr)
		}
		s.wait()
		return false
	}
	s.finish()
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = show(got[i])
		}
		if i < len(want) {
			w = show(want[i])
		}
		if g != w {
			t.Errorf("%v: entry %d:\n got %s\nwant %s", f, i, g, w)
			break
		}
	}
	return len(got) > 0
}

func TestStatsAreUpstreams(t *testing.T) {
	root := everything(t).root
	list := func(of ...string) []string { return of }
	for _, f := range []filter{
		{},
		{include: list("foo")},
		{include: list("foo/*")},
		{include: list("**/*.go")},
		{include: list("a/b/c/d/e")},
		{include: list("a/b", "docs/*.md", "!docs/guide.md")},
		{include: list("**", "!**/*.go")},
		{include: list("nothing/here")},
		{include: list("")},
		{include: list(".")},
		{include: list("..", "../x", "/foo")},
		{include: list("links/second", "zz")},
		{include: list("bad*", "new*", "back\\\\slash", "star\\*", "[[]br]", "é*")},
		{exclude: list("foo")},
		{exclude: list("**/*.go")},
		{exclude: list("*", "!docs")},
		{exclude: list("*", "!docs/README.md")},
		{exclude: list("*", "!src/vendor/lib/deep/er")},
		{exclude: list("*", "!**/lib.go")},
		{exclude: list("**", "!Dockerfile", "!a/b/c")},
		{exclude: list("docs/**", "!docs/README.md")},
		{exclude: list("links/first")},
		{exclude: list("a-link", "links")},
		{exclude: list("src", "!src/vendor", "src/vendor/lib/deep")},
		{exclude: list("fifo", "loop*")},
		{include: list("src"), exclude: list("src/vendor")},
		{include: list("src"), exclude: list("src/vendor", "!src/vendor/lib/deep")},
		{include: list("**/*.txt", "docs"), exclude: list("**/deep/**", "docs/R*")},
		{include: list("a|b", "do{c}s", "z.g$")},
		{follow: list("to-src")},
		{follow: list("chain")},
		{follow: list("to-src/main.go", "docs")},
		{follow: list("a/to-docs/README.md")},
		{follow: list("a/to-*/guide.md")},
		{follow: list("loop-a")},
		{follow: list("outside")},
		{follow: list("foo/absolute", "dangling")},
		{follow: list(".")},
		{follow: list("/")},
		{follow: list("..")},
		{follow: list("../../foo")},
		{follow: list("*")},
		{follow: list("*/*")},
		{follow: list("foo", "foo/bar", "foo-bar")},
		{follow: list("Dockerfile", "Dockerfile.dockerignore", "dockerfile")},
		{follow: list("chain"), include: list("docs/*.md"), exclude: list("docs/guide.md")},
		{follow: list("foo/bar/beneath-a-file")},
		{follow: list("star\\*", "q\\?")},
		{include: list("[")},
		{exclude: list("!")},
		{exclude: list("[Local-Only]/")},
		{include: list("[z-a]")},
		{exclude: list("a\\")},
	} {
		compareStats(t, root, f)
	}
	compareStats(t, root, filter{}, "--buffer", "1", "--queue", "1")
}

// The root may be reached through a symlink, and must be a directory.
func TestRoot(t *testing.T) {
	tr := newTree(t)
	tr.file("real/file", "x")
	tr.symlink("real", "link")
	if !compareStats(t, tr.path("link"), filter{}) {
		t.Error("nothing was sent")
	}
	compareStats(t, tr.path("real/file"), filter{})
	compareStats(t, tr.path("missing"), filter{})
}

func TestRandomTreesAndFilters(t *testing.T) {
	r := rand.New(rand.NewSource(42))
	several := func(make1 func(*rand.Rand) string, most int) []string {
		var list []string
		for range r.Intn(most + 1) {
			list = append(list, make1(r))
		}
		return list
	}
	sent := 0
	const filters = 12
	rounds := 25
	if testing.Short() { // each filter is a process; the sanitizers need no more of them
		rounds = 4
	}
	for range rounds {
		root := randomTree(t, r).root
		for range filters {
			f := filter{several(tamePattern, 2), several(tamePattern, 3), nil}
			if r.Intn(3) == 0 {
				f.follow = several(tamePattern, 3)
			}
			if r.Intn(8) == 0 {
				f.exclude = append(f.exclude, randomPattern(r))
			}
			if compareStats(t, root, f) {
				sent++
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d of %d sent something", sent, rounds*filters)
	if sent < rounds*filters/4 {
		t.Error("the rounds have become one-sided")
	}
}
