// Package docs checks the names in the documents: the files and headings of links,
// targets of make, and commands and flags of scored.
package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"scored/tests/process"
)

func TestMain(m *testing.M) { os.Exit(process.WithBinary(m.Run)) }

const root = "../.."

// documents returns the text of the tracked Markdown files by path from the root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	list, err := exec.Command("git", "-C", root, "ls-files", "*.md").Output()
	if err != nil {
		t.Skipf("no git, so it is not known which files are the project's: %v", err)
	}
	all := map[string]string{}
	for path := range strings.FieldsSeq(string(list)) {
		all[path] = read(t, path)
	}
	if len(all) < 5 {
		t.Fatalf("only %d documents found", len(all))
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	target  = regexp.MustCompile("(?m)(?:`|^\\$ |^|; )make ([a-z][a-z-]*)")
	made    = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	fence   = regexp.MustCompile("(?s)```.*?```|`[^`\n]+`")
	command = regexp.MustCompile(`(?:^|[\s/|])scored ([a-z]+)\b([^|;&\n]*)`)
	flagIn  = regexp.MustCompile(`(?:^|\s)--([a-z][a-z0-9-]*)`)
)

// TestLinks: the file and the heading of every link exist.
func TestLinks(t *testing.T) {
	all := documents(t)
	for path, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
				continue
			}
			there := path
			if to != "" {
				there = filepath.Join(filepath.Dir(path), to)
			}
			if _, err := os.Stat(filepath.Join(root, there)); err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			} else if anchor != "" && !anchors(all[there])[anchor] {
				t.Errorf("%s links to %s, which has no such heading", path, m[1])
			}
		}
	}
}

// anchors returns a document's headings as GitHub writes them in addresses.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		all[strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return all
}

// TestTargets: every target of make that a document names is in the Makefile.
func TestTargets(t *testing.T) {
	targets := map[string]bool{}
	for _, m := range made.FindAllStringSubmatch(read(t, "Makefile"), -1) {
		targets[m[1]] = true
	}
	named := 0
	for path, text := range documents(t) {
		for _, code := range fence.FindAllString(text, -1) {
			for _, m := range target.FindAllStringSubmatch(strings.Trim(code, "`"), -1) {
				if named++; !targets[m[1]] {
					t.Errorf("%s says make %s, which is no target", path, m[1])
				}
			}
		}
	}
	if named < 20 {
		t.Errorf("only %d targets are named; is the pattern wrong?", named)
	}
}

// TestCommands: scored has every command that a document calls, with the flags that the
// document gives.
func TestCommands(t *testing.T) {
	help := map[string]string{}
	checked := 0
	for path, text := range documents(t) {
		for _, code := range fence.FindAllString(text, -1) {
			for _, m := range command.FindAllStringSubmatch(strings.ReplaceAll(strings.Trim(code, "`"), "\\\n", " "), -1) {
				name := m[1]
				if name == "profile" || name == "setup" || name == "version" || name == "release" {
					continue // these commands take words, not flags
				}
				if _, asked := help[name]; !asked {
					out, _ := exec.Command(process.Binary(t), name, "-h").CombinedOutput()
					help[name] = string(out)
				}
				for _, f := range flagIn.FindAllStringSubmatch(m[2], -1) {
					if checked++; !strings.Contains(help[name], "-"+f[1]) {
						t.Errorf("%s calls scored %s --%s, which scored %s -h does not list", path, name, f[1], name)
					}
				}
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d flags were found; is the pattern wrong?", checked)
	}
}
