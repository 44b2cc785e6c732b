// Package house checks the structure of the code: which package imports which, where C
// is, how long files, functions and lines of comments are. It is the one place of these
// rules; docs/design.md gives the reasons.
package house

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const root = "../.."

// mayImport lists, for each package, those of ours that it may import. cmd may import
// all, and app all but flags and the environment.
var mayImport = map[string][]string{
	"scored/score/plan":              {},
	"scored/score/scoretest":         {"scored/score/plan"},
	"scored/score":                   {"scored/score/plan"},
	"scored/target":                  {"scored/score/plan"},
	"scored/sglang/python":           {},
	"scored/sglang":                  {"scored/score", "scored/sglang/python"},
	"scored/sglang/launch":           {"scored/sglang"},
	"scored/profile/internal/xplane": {},
	"scored/app":                     {"scored/hub", "scored/internal/every", "scored/internal/within", "scored/model", "scored/model/checkpoint", "scored/pjrt", "scored/pjrt/wheel", "scored/profile", "scored/prompt", "scored/score", "scored/server", "scored/target", "scored/tokenizer", "scored/trace"},
	"scored/internal/every":          {},
	"scored/internal/within":         {},
	"scored/hub":                     {"scored/internal/within"},
	"scored/tokenizer":               {},
	"scored/pjrt":                    {"scored/pjrt/hlo", "scored/pjrt/ptx", "scored/pjrt/wheel"},
	"scored/pjrt/hlo":                {},
	"scored/pjrt/ptx":                {},
	"scored/pjrt/wheel":              {},
	"scored/batch":                   {"scored/internal/every"},
	"scored/bench":                   {},
	"scored/prompt":                  {},
	"scored/model/checkpoint":        {},
	"scored/model/mosaic":            {"scored/model/kernel"},
	"scored/model/kernel":            {},
	"scored/model/kernel/kerneltest": {"scored/model/kernel"},
	"scored/model/mosaic/mosaictest": {"scored/model/kernel/kerneltest", "scored/model/mosaic"},
	"scored/model/triton":            {"scored/model/kernel"},
	"scored/model/triton/tritontest": {"scored/model/kernel/kerneltest", "scored/model/triton"},
	"scored/model":                   {"scored/score/plan", "scored/target", "scored/model/checkpoint", "scored/model/kernel", "scored/model/mosaic", "scored/model/triton"},
	"scored/trace":                   {"scored/score"},
	"scored/profile":                 {"scored/score", "scored/target", "scored/profile/internal/xplane"},
	"scored/server":                  {"scored/score", "scored/profile", "scored/prompt", "scored/sglang", "scored/sglang/python"},
}

type listed struct {
	ImportPath                string
	Imports                   []string
	CgoFiles                  []string
	TestGoFiles, XTestGoFiles []string
	Standard                  bool
}

func list(t *testing.T, patterns ...string) (all []listed) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,CgoFiles,TestGoFiles,XTestGoFiles,Standard"}, patterns...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p listed
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestImports(t *testing.T) {
	for _, p := range list(t, "./...") {
		if strings.HasPrefix(p.ImportPath, "scored/cmd/") || strings.HasPrefix(p.ImportPath, "scored/tests/") {
			continue
		}
		allowed, known := mayImport[p.ImportPath]
		if !known {
			t.Errorf("package %s is not in the table of who may import whom", p.ImportPath)
		}
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, "scored/") && !slices.Contains(allowed, imported) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
			if imported == "C" && p.ImportPath != "scored/pjrt" && p.ImportPath != "scored/tokenizer" {
				t.Errorf("%s uses C", p.ImportPath)
			}
		}
	}
}

// TestWhatPackagesKnow: score and plan import the standard library alone, target the
// processor's features besides. sglang has texts and values only. Neither server nor
// model reaches an engine's C through its imports.
func TestWhatPackagesKnow(t *testing.T) {
	for pkg, only := range map[string][]string{
		"./score":  {"scored/score", "scored/score/plan"},
		"./target": {"scored/target", "scored/score/plan", "golang.org/x/sys/cpu"},
		"./sglang": {"scored/sglang", "scored/sglang/python", "scored/score", "scored/score/plan"},
	} {
		for _, p := range list(t, "-deps", pkg) {
			if !p.Standard && !slices.Contains(only, p.ImportPath) {
				t.Errorf("%s depends on %s", pkg, p.ImportPath)
			}
		}
	}
	for pkg, never := range map[string][]string{
		"./sglang":        {"net/http"},
		"./sglang/launch": {"scored/server", "net/http"},
		"./server":        {"gomlx", "go-xla", "tokenizers", "scored/pjrt", "scored/model"},
		"./model":         {"scored/pjrt", "net/http", "tokenizers"},

		"./model/checkpoint": {"gomlx/gomlx", "net/http"},
	} {
		for _, p := range list(t, "-deps", pkg) {
			for _, part := range never {
				if strings.Contains(p.ImportPath, part) && (pkg != "./model" || !p.Standard) {
					t.Errorf("%s depends on %s", pkg, p.ImportPath)
				}
			}
		}
	}
}

// Lines of a file and of a function, tests aside, and columns of a comment.
const (
	mostLines         = 320
	mostFunctionLines = 50
	mostColumns       = 90
)

// TestFiles: no init(), no package variable that is assigned to, and neither files nor
// functions that are too long.
func TestFiles(t *testing.T) {
	eachFile(t, func(path string, data []byte) {
		isTest := strings.HasSuffix(path, "_test.go")
		if n := bytes.Count(data, []byte("\n")); n > mostLines && !isTest {
			t.Errorf("%s has %d lines; one idea a file, %d at most", path, n, mostLines)
		}
		checkFile(t, path, data, isTest)
	})
}

// TestComments: a line that is all comment ends at the last column, in every file that
// marks comments with // or #. An address stays in one piece, and so do an indented line,
// which is a command or a table, and the output of an Example.
func TestComments(t *testing.T) {
	walk(t, func(path string) bool { return commentMark(path) != "" }, func(path string, data []byte) {
		output := false // of an Example, to the end of the comment
		for i, line := range strings.Split(string(data), "\n") {
			comment, found := strings.CutPrefix(strings.TrimLeft(line, " \t"), commentMark(path))
			output = found && (output || strings.TrimSpace(comment) == "Output:")
			n := utf8.RuneCountInString(line)
			if found && n > mostColumns && !strings.HasPrefix(comment, "  ") && !strings.Contains(comment, "://") && !output {
				t.Errorf("%s:%d: a comment of %d columns, %d at most", path, i+1, n, mostColumns)
			}
		}
	})
}

// commentMark is what begins a comment in a file; "" if none is known or the file is
// generated.
func commentMark(path string) string {
	switch name := filepath.Base(path); {
	case strings.HasSuffix(name, ".pb.go"):
		return ""
	case slices.Contains([]string{".go", ".proto", ".ts"}, filepath.Ext(name)):
		return "//"
	case slices.Contains([]string{".sh", ".py", ".yaml", ".yml"}, filepath.Ext(name)),
		slices.Contains([]string{"Makefile", "Dockerfile", "run"}, name):
		return "#"
	}
	return ""
}

// TestEveryPackageIsTested: each package with tests is in one of the Makefile's lists of
// what make test runs.
func TestEveryPackageIsTested(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	lists := regexp.MustCompile(`(?m)^(?:PURE|RACED|LINKED) *:= (.*)$`).FindAllSubmatch(makefile, -1)
	if len(lists) != 3 {
		t.Fatalf("Makefile has %d lists of packages, want three", len(lists))
	}
	times := map[string]int{}
	for _, l := range lists {
		for _, p := range list(t, strings.Fields(string(l[1]))...) {
			times[p.ImportPath]++
		}
	}
	for _, p := range list(t, "./...") {
		if n := times[p.ImportPath]; len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 && n != 1 {
			t.Errorf("package %s is in %d of the Makefile's lists, want one", p.ImportPath, n)
		}
	}
}

// eachFile reads every Go file that is not generated.
func eachFile(t *testing.T, do func(path string, data []byte)) {
	t.Helper()
	walk(t, func(path string) bool {
		return strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".pb.go")
	}, do)
}

// walk reads every file of the tree that is wanted. Folders that begin with a dot are
// left out, as what is built or fetched lies there, but for .ci.
func walk(t *testing.T, wanted func(path string) bool, do func(path string, data []byte)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); strings.HasPrefix(name, ".") && name != ".ci" && path != root {
				return filepath.SkipDir
			}
			return nil
		}
		if !wanted(path) {
			return nil
		}
		data, err := os.ReadFile(path)
		if err == nil {
			do(path, data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkFile(t *testing.T, path string, data []byte, isTest bool) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, data, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return
	}
	variables := map[string]bool{}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.Name == "init" && d.Recv == nil {
				t.Errorf("%s has an init()", path)
			}
			if n := files.Position(d.End()).Line - files.Position(d.Pos()).Line; n > mostFunctionLines && !isTest {
				t.Errorf("%s: function %s has %d lines, %d at most", path, d.Name.Name, n, mostFunctionLines)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok && d.Tok == token.VAR {
					for _, name := range v.Names {
						variables[name.Name] = true
					}
				}
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && a.Tok == token.ASSIGN {
			for _, left := range a.Lhs {
				if id, ok := left.(*ast.Ident); ok && variables[id.Name] && !isTest {
					t.Errorf("%s assigns to the package variable %s", path, id.Name)
				}
			}
		}
		return true
	})
}

// mostFiles is the number of files over which a type's methods may lie. A type in more
// files is several things, or its files are cut by length.
const mostFiles = 3

// TestTypesStayTogether: no type has methods in more than three files.
func TestTypesStayTogether(t *testing.T) {
	found := map[string][]string{}
	eachFile(t, func(path string, data []byte) {
		file, err := parser.ParseFile(token.NewFileSet(), path, data, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || strings.HasSuffix(path, "_test.go") {
				continue
			}
			folder, _ := filepath.Rel(root, filepath.Dir(path))
			name := filepath.ToSlash(folder) + "." + receiver(f.Recv.List[0].Type)
			if base := filepath.Base(path); !slices.Contains(found[name], base) {
				found[name] = append(found[name], base)
			}
		}
	})
	for name, files := range found {
		if len(files) > mostFiles {
			t.Errorf("%s has methods in %d files, %d at most: %s", name, len(files), mostFiles, strings.Join(files, " "))
		}
	}
}

// receiver is the name of a method's type.
func receiver(of ast.Expr) string {
	switch of := of.(type) {
	case *ast.StarExpr:
		return receiver(of.X)
	case *ast.IndexExpr:
		return receiver(of.X)
	case *ast.IndexListExpr:
		return receiver(of.X)
	case *ast.Ident:
		return of.Name
	}
	return ""
}
