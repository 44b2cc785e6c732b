package deploy

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"scored/server"
)

// newServer returns a server without a model that has every metric and demands a key.
func newServer() *server.Server {
	metrics := server.NewMetrics("test")
	metrics.WatchDevice(func() server.Device { return server.Device{} })
	return server.New(server.Config{APIKey: "key", Metrics: metrics, Logger: slog.New(slog.DiscardHandler)})
}

// series returns, for each name that a query may use, the values of each label.
func series(t *testing.T) map[string]map[string][]string {
	t.Helper()
	w := httptest.NewRecorder()
	newServer().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("metrics are not served: %d, %v", w.Code, err)
	}
	found := map[string]map[string][]string{}
	for name, family := range families {
		labels := map[string][]string{}
		for _, m := range family.Metric {
			for _, pair := range m.Label {
				labels[pair.GetName()] = append(labels[pair.GetName()], pair.GetValue())
			}
		}
		if family.GetType().String() != "HISTOGRAM" {
			found[name] = labels
			continue
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			found[name+suffix] = labels
		}
	}
	return found
}

var (
	metric  = regexp.MustCompile(`\b((?:scored|go|process)_[a-z_]+)(?:\{([^}]*)\})?`)
	matcher = regexp.MustCompile(`(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"`)
	target  = []string{"job", "instance", "namespace", "pod"} // labels that Prometheus adds
)

// TestQueriesUseMetricsOfTheServer checks every query of the dashboard, the alerts, their
// tests and the adapter: names, labels, and values of labels that a series always has.
func TestQueriesUseMetricsOfTheServer(t *testing.T) {
	known := series(t)
	for where, queries := range queries(t) {
		if len(queries) == 0 {
			t.Errorf("%s has no queries", where)
		}
		used := 0
		for _, query := range queries {
			for _, m := range metric.FindAllStringSubmatch(query, -1) {
				used++
				labels, ok := known[m[1]]
				if !ok {
					t.Errorf("%s uses %s, which the server does not have", where, m[1])
				}
				for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
					name, operator, value := l[1], l[2], l[3]
					_, has := labels[name]
					switch {
					case slices.Contains(target, name) || name == "le" && strings.HasSuffix(m[1], "_bucket"):
					case !has:
						t.Errorf("%s uses the label %s of %s, which has %v", where, name, m[1], labels)
					case operator == "=" && name != "code" && !slices.Contains(labels[name], value):
						t.Errorf("%s asks for %s=%q of %s, which has %v", where, name, value, m[1], labels[name])
					}
				}
			}
		}
		if used == 0 {
			t.Errorf("%s uses no metric", where)
		}
	}
}

// queries lists the Prometheus queries of each file.
func queries(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{"dashboard": dashboard(t), "alerts": nil}
	for _, rule := range alerts(t) {
		found["alerts"] = append(found["alerts"], rule.Expr)
	}
	var tests struct {
		Tests []struct {
			Input []struct{ Series string } `yaml:"input_series"`
		}
	}
	if err := yaml.Unmarshal([]byte(source(t, "deploy/prometheus/rules_test.yaml")), &tests); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests.Tests {
		for _, input := range test.Input {
			found["tests of alerts"] = append(found["tests of alerts"], input.Series)
		}
	}
	var adapter struct {
		Rules struct {
			Custom []struct {
				SeriesQuery string `yaml:"seriesQuery"`
				Name        struct{ As string }
			}
		}
	}
	if err := yaml.Unmarshal([]byte(source(t, "deploy/prometheus/adapter.yaml")), &adapter); err != nil {
		t.Fatal(err)
	}
	for _, rule := range adapter.Rules.Custom {
		found["adapter"] = append(found["adapter"], rule.SeriesQuery)
	}
	for where, path := range map[string]string{"keda": "components/keda/scaledobject", "kserve": "kserve/service", "picker": "components/inference-pool/picker-config"} {
		text := source(t, "deploy/kubernetes/"+path+".yaml")
		for _, m := range regexp.MustCompile(`(?m)^ +(?:query|\w+Spec): (.*)$`).FindAllStringSubmatch(text, -1) {
			found[where] = append(found[where], m[1])
		}
	}
	for _, o := range decode(t, "hpa", source(t, "deploy/kubernetes/components/autoscaling/hpa.yaml")) {
		for _, m := range o.Spec.Metrics {
			name := m.Pods.Metric.Name
			found["autoscaler"] = append(found["autoscaler"], name)
			if adapter.Rules.Custom[0].Name.As != name {
				t.Errorf("autoscaler reads %s, and the adapter serves %s", name, adapter.Rules.Custom[0].Name.As)
			}
		}
	}
	return found
}

type alert struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []alert }
	}
	if err := yaml.Unmarshal([]byte(source(t, "deploy/prometheus/rules.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	return file.Groups[0].Rules
}

// TestAlertsAreExplained: every alert has a severity, a summary, a runbook line and a
// test.
func TestAlertsAreExplained(t *testing.T) {
	tests, runbook := source(t, "deploy/prometheus/rules_test.yaml"), source(t, "docs/operating.md")
	for _, rule := range alerts(t) {
		if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("alert %s lacks a severity, a summary or a description", rule.Alert)
		}
		if !strings.Contains(tests, rule.Alert) || !strings.Contains(runbook, rule.Alert) {
			t.Errorf("alert %s is not in rules_test.yaml and docs/operating.md", rule.Alert)
		}
	}
}

// TestDocumentedMetrics: docs/operating.md has every metric of scored.
func TestDocumentedMetrics(t *testing.T) {
	text := source(t, "docs/operating.md")
	for name := range series(t) {
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(name, "scored_") && !strings.Contains(text, base) {
			t.Errorf("docs/operating.md does not tell of %s", base)
		}
	}
}

// dashboard lists the queries of the Grafana dashboard, whose panels must not overlap.
func dashboard(t *testing.T) []string {
	t.Helper()
	var board struct {
		UID, Title    string
		SchemaVersion int
		Panels        []struct {
			ID      int
			Title   string
			Type    string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(source(t, "deploy/grafana/scored.json")), &board); err != nil {
		t.Fatal(err)
	}
	var queries []string
	taken := map[[2]int]string{}
	for _, panel := range board.Panels {
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("panel %q asks nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			queries = append(queries, target.Expr)
		}
		g := panel.GridPos
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q covers %q or leaves the grid", panel.Title, other)
				}
				taken[[2]int{x, y}] = panel.Title
			}
		}
	}
	return queries
}
