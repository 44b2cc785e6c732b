package prompt

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestChats: named templates give what transformers' apply_chat_template gives;
// testdata/generate.py made the cases.
func TestChats(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Cases []struct{ Template, System, Query, Item, Text string }
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 20 {
		t.Fatalf("only %d cases", len(golden.Cases))
	}
	for _, c := range golden.Cases {
		template, err := Open(c.Template, c.System)
		if err != nil {
			t.Fatal(err)
		}
		items := []string{c.Item, "another"}
		query := template.Render(c.Query, items)
		if got := query + items[0]; got != c.Text {
			t.Errorf("%s, system %q: %q, want %q", c.Template, c.System, got, c.Text)
		}
		if shared := strings.TrimSpace(c.Query); !strings.Contains(query, shared) {
			t.Errorf("%s: the query %q is not in what prompts share, %q", c.Template, shared, query)
		}
	}
}

// TestParse: a file's text stands around query and item, whichever comes first, and only
// the two marks are replaced.
func TestParse(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"{query}{item}", "Q {item}I {query}"},
		{"a {{query}} {x} {item} b\n", "a {Q {item}} {x} I {query} b"},
		{"a {item} {} {query} b\r\n", "a I {query} {} Q {item} b"},
		{"{query}\n{item}\n\n", "Q {item}\nI {query}\n"},
	} {
		template, err := Parse("x", c.text)
		if err != nil {
			t.Fatal(err)
		}
		items := []string{"I {query}"}
		query := template.Render("Q {item}", items)
		got := query + items[0]
		if template.ItemFirst() {
			got = items[0] + query
		}
		if got != c.want {
			t.Errorf("%q gives %q, want %q", c.text, got, c.want)
		}
	}
	for text, want := range map[string]string{
		"":                    "has {query} 0 times",
		"{query}":             "has {item} 0 times",
		"{query}{item}{item}": "has {item} 2 times",
		"{query}{item}\xff":   "is not UTF-8",
		"{query}{item}" + strings.Repeat("x", 5000): "5000 bytes that stand at each item",
		strings.Repeat("x", 5000) + "{item}{query}": "5000 bytes that stand at each item",
	} {
		if _, err := Parse("x", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	if _, err := Parse("x", strings.Repeat("x", 5000)+"{query}{item}"); err != nil {
		t.Error(err)
	}
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "template.txt")
	if err := os.WriteFile(path, []byte("{query}?{item}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if template, err := Open(path, ""); err != nil || template.Name() != path {
		t.Errorf("%v, %v", template, err)
	}
	for _, c := range []struct{ name, system, want string }{
		{path, "You are terse.", "has no place for a system prompt"},
		{path + "x", "", "is neither a file nor one of qwen3, qwen3-thinking, llama3"},
		{filepath.Dir(path), "", "cannot be read"},
	} {
		if _, err := Open(c.name, c.system); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
