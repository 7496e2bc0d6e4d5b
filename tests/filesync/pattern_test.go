package filesync

import (
	"bytes"
	"math/rand"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
)

const patternRounds = 30000

// Pieces of patterns and paths: few letters, so that they meet, and everything odd.
var (
	patternPieces = []string{"a", "b", "ab", "foo", "bar", ".", "..", "*", "**", "?", "/", "/", "/**", "**/", "/*", "[ab]",
		"[^a]", "[a-c]", "[!a]", "[]", "[", "]", "\\*", "\\a", "\\", "!", " ", "\t", "é", "☺", "+", "(", ")", "|", "$", "^", "{", "}",
		"-", "[^", "[a-", "\\[", "\\d", ".go", "*.go", "\xff", "\ufeff", "[é-☺]", "[.]", "[a.b]", "[/]", "\n", "[[:alpha:]]", "\\Q",
		"[\\]]", "a{2}", "\ufffd", "\\x41", "\\pL", "[\\d]", "[^/]", "\u2028"}
	pathPieces = []string{"a", "b", "ab", "foo", "bar", ".a", "a.go", "b.go", "*", "?", "[ab]", "é", "☺", "c", "-", "!", " ", "^a", "a+",
		"(a)", "\\", "\xff", "a\nb", "A", "x", "aa", "$", "{a}", "a|b", "\ufeffa", "\ufffd", "1", "]"}
)

func randomPattern(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.Intn(6) {
		b.WriteString(patternPieces[r.Intn(len(patternPieces))])
	}
	pattern := b.String()
	if r.Intn(4) == 0 {
		pattern = "!" + pattern
	}
	return pattern
}

// tamePattern has nothing that is a syntax error.
func tamePattern(r *rand.Rand) string {
	pieces := []string{"a", "b", "foo", "*", "**", "?", "[ab]", "*.go", "a*", "\\a", "c", "bar"}
	parts := make([]string, 1+r.Intn(4))
	for i := range parts {
		parts[i] = pieces[r.Intn(len(pieces))]
		if r.Intn(4) == 0 {
			parts[i] += pieces[r.Intn(len(pieces))]
		}
	}
	pattern := strings.Join(parts, "/")
	if r.Intn(3) == 0 {
		pattern = "!" + pattern
	}
	return pattern
}

func randomPath(r *rand.Rand) string {
	parts := make([]string, 1+r.Intn(4))
	for i := range parts {
		parts[i] = pathPieces[r.Intn(len(pathPieces))]
		if r.Intn(5) == 0 {
			parts[i] += pathPieces[r.Intn(len(pathPieces))]
		}
	}
	return strings.Join(parts, "/")
}

func letter(match bool, err error) string {
	if err != nil {
		return "b"
	}
	if match {
		return "1"
	}
	return "0"
}

// upstreamMatches asks twice per path: alone, and as a walk does, with the parents' results.
func upstreamMatches(patterns, paths []string) string {
	pm, err := patternmatcher.New(patterns)
	if err != nil {
		return "error"
	}
	var answer string
	for _, path := range paths {
		answer += letter(pm.MatchesOrParentMatches(path))
		var info patternmatcher.MatchInfo
		parts := strings.Split(path, "/")
		var match bool
		for i := range parts {
			match, info, err = pm.MatchesUsingParentResults(filepath.Join(parts[:i+1]...), info)
			if err != nil {
				break
			}
		}
		answer += letter(match, err)
	}
	return answer
}

func TestPatternsMatchAsUpstreams(t *testing.T) {
	r := rand.New(rand.NewSource(20261123))
	type round struct{ patterns, paths []string }
	count := patternRounds
	if testing.Short() {
		count /= 10
	}
	rounds := make([]round, count)
	var in bytes.Buffer
	for i := range rounds {
		make1 := randomPattern
		if i%2 == 1 {
			make1 = tamePattern
		}
		for range 1 + r.Intn(4) {
			rounds[i].patterns = append(rounds[i].patterns, make1(r))
		}
		for range 6 {
			path := randomPath(r)
			if r.Intn(3) == 0 { // one that is close to a pattern
				p := strings.TrimPrefix(rounds[i].patterns[r.Intn(len(rounds[i].patterns))], "!")
				path = strings.NewReplacer("**", "a/b", "*", "a", "?", "b", "[ab]", "a", "\\", "").Replace(p)
			}
			if path = filepath.Clean(path); path == "." || path == ".." || strings.HasPrefix(path, "../") || path[0] == '/' {
				path = "a"
			}
			rounds[i].paths = append(rounds[i].paths, path)
		}
		putList(&in, rounds[i].patterns)
		putList(&in, rounds[i].paths)
	}
	out := talk(t, "match", in.Bytes())
	failures := 0
	var sum [3]int
	for _, round := range rounds {
		want, got := upstreamMatches(round.patterns, round.paths), getField(t, out)
		if got != want {
			t.Errorf("patterns %q paths %q:\n got %s\nwant %s", round.patterns, round.paths, got, want)
			if failures++; failures > 10 {
				t.FailNow()
			}
		}
		sum[0] += strings.Count(want, "0")
		sum[1] += strings.Count(want, "1")
		sum[2] += strings.Count(want, "b")
	}
	t.Logf("%d no, %d yes, %d bad patterns", sum[0], sum[1], sum[2])
	if sum[0] < count || sum[1] < count || sum[2] == 0 {
		t.Error("the rounds have become one-sided")
	}
}
