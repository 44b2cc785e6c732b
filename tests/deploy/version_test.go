package deploy

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	// A section of a release in CHANGELOG.md, with its date; the newest stands first.
	releaseHeading = regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$`)
	// A version of scored in a manifest or a document: the tag of an image for a device,
	// the name of an archive, or the argument of make release.
	ownVersion = regexp.MustCompile(
		`(?:newTag: |/scored:|scored-|make release VERSION=)(\d+\.\d+\.\d+)`)
)

// TestVersionsAgree holds the versions that manifests and documents name to the newest
// release of CHANGELOG.md.
func TestVersionsAgree(t *testing.T) {
	newest := releaseHeading.FindStringSubmatch(source(t, "CHANGELOG.md"))
	if newest == nil {
		t.Fatal("CHANGELOG.md has no section of a release, such as ## [0.1.0] - 2026-11-28")
	}
	named := 0
	check := func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ownVersion.FindAllStringSubmatch(string(text), -1) {
			if named++; m[1] != newest[1] {
				t.Errorf("%s names version %s; CHANGELOG.md's newest is %s", path, m[1], newest[1])
			}
		}
	}
	for _, folder := range []string{"deploy", "docs"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, e fs.DirEntry, err error) error {
			if ext := filepath.Ext(path); err == nil && (ext == ".yaml" || ext == ".md") {
				check(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if named < 8 {
		t.Errorf("only %d versions were found; is the pattern wrong?", named)
	}
}
