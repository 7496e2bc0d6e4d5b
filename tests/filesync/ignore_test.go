package filesync

import (
	"bytes"
	"math/rand"
	"strings"
	"testing"

	"github.com/moby/patternmatcher/ignorefile"
)

const ignoreRounds = 20000

// upstreamRules are the patterns of an ignore file as builders read it, each with a zero behind it.
func upstreamRules(text string) string {
	patterns, err := ignorefile.ReadAll(strings.NewReader(text))
	if err != nil {
		return "error"
	}
	var answer strings.Builder
	for _, pattern := range patterns {
		answer.WriteString(pattern + "\x00")
	}
	return answer.String()
}

func TestIgnoreFilesAreReadAsUpstreams(t *testing.T) {
	pieces := []string{"a", "b/", "/", "//", "..", ".", "!", "#", " ", "\t", "\r", "\n", "\n", "\r\n", "*", "**", "\ufeff", "\u00a0",
		"\u0085", "\xff", "é", "\\", "[a]", "\v", "\u3000", "\x00"}
	texts := []string{"", "\n", "\ufeff", "\ufeff\ufeffa", "#", "!", strings.Repeat("x", 65535), strings.Repeat("x", 65536),
		strings.Repeat("x", 65535) + "\n", strings.Repeat("x", 65536) + "\n", strings.Repeat("x", 65534) + "\r\n",
		strings.Repeat("x", 65535) + "\r\n", "a\n" + strings.Repeat("x", 70000) + "\nb"}
	r := rand.New(rand.NewSource(20261124))
	count := ignoreRounds
	if testing.Short() {
		count /= 10
	}
	for range count {
		var text strings.Builder
		for range r.Intn(12) {
			text.WriteString(pieces[r.Intn(len(pieces))])
		}
		texts = append(texts, text.String())
	}
	var in bytes.Buffer
	for _, text := range texts {
		putField(&in, text)
	}
	out := talk(t, "ignore", in.Bytes())
	failures, errors := 0, 0
	for _, text := range texts {
		want, got := upstreamRules(text), getField(t, out)
		if want == "error" {
			errors++
		}
		if got != want {
			t.Errorf("text %.200q:\n got %.200q\nwant %.200q", text, got, want)
			if failures++; failures > 10 {
				t.FailNow()
			}
		}
	}
	if errors == 0 {
		t.Error("no text is wrong any more")
	}
}
