package deploy

import (
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"scored/tests/process"
)

func TestMain(m *testing.M) { os.Exit(process.WithBinary(m.Run)) }

// parse reads a file with one document.
func parse(t *testing.T, path string, to any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(source(t, path)), to); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// checkArgs checks that the arguments are a command of the binary and flags that it
// lists, and that the folders they name are on volumes.
func checkArgs(t *testing.T, c container, elsewhere ...string) {
	t.Helper()
	help, _ := exec.Command(process.Binary(t), c.Args[0], "-h").CombinedOutput()
	flags := 0
	for _, arg := range c.Args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		if !strings.HasPrefix(name, "--") {
			name, value = "", arg
		}
		if name != "" {
			flags++
			if !regexp.MustCompile(`(?m)^ *` + name + `\b`).Match(help) {
				t.Errorf("scored %s has no flag %s", c.Args[0], name)
			}
		}
		if strings.HasPrefix(value, "/") && !mounted(c, value) && !slices.Contains(elsewhere, value) {
			t.Errorf("argument %s names a folder that is on no volume", arg)
		}
	}
	if flags < 4 {
		t.Errorf("only %d flags are found in %v", flags, c.Args)
	}
	for _, dir := range []string{"/cache", "/tmp"} {
		if !mounted(c, dir) {
			t.Errorf("nothing is mounted on %s, and the root is read-only", dir)
		}
	}
}

// TestBatchJob: the Job has as many indexes as shards, and its rules for a failed pod fit
// the exit statuses of scored batch.
func TestBatchJob(t *testing.T) {
	var job struct {
		Spec struct {
			CompletionMode   string `yaml:"completionMode"`
			Completions      int
			Template         template
			PodFailurePolicy struct {
				Rules []struct {
					Action      string
					OnExitCodes struct {
						ContainerName string `yaml:"containerName"`
						Values        []int
					} `yaml:"onExitCodes"`
				}
			} `yaml:"podFailurePolicy"`
		}
	}
	parse(t, "deploy/kubernetes/batch/job.yaml", &job)
	c := job.Spec.Template.Spec.Containers[0]
	checkArgs(t, c)
	if c.Args[0] != "batch" || !slices.Contains(c.Args, "--resume") {
		t.Errorf("args %v do not resume a batch", c.Args)
	}
	if shards := "--shard=" + strconv.Itoa(job.Spec.Completions); job.Spec.CompletionMode != "Indexed" || !slices.Contains(c.Args, shards) {
		t.Errorf("%d completions, and args %v", job.Spec.Completions, c.Args)
	}
	actions := map[int]string{}
	for _, rule := range job.Spec.PodFailurePolicy.Rules {
		for _, status := range rule.OnExitCodes.Values {
			if actions[status] = rule.Action; rule.OnExitCodes.ContainerName != c.Name {
				t.Errorf("exit status %d is asked of container %s", status, rule.OnExitCodes.ContainerName)
			}
		}
	}
	// A shard that does not exist is a wrong command line: status 2, which ends the Job.
	wrong := exec.Command(process.Binary(t), "batch", "in", "out", "--url", "http://127.0.0.1:1", "--shard=8")
	wrong.Env = append(os.Environ(), "JOB_COMPLETION_INDEX=8")
	if out, err := wrong.CombinedOutput(); wrong.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "JOB_COMPLETION_INDEX") {
		t.Errorf("index 8 of 8 ends with %v: %s", err, out)
	}
	if actions[2] != "FailJob" || actions[3] != "FailIndex" || len(actions) != 2 {
		t.Errorf("exit statuses lead to %v", actions)
	}
	if !strings.Contains(source(t, "cmd/scored/batch.go"), "const exitUnscored = 3\n") {
		t.Error("lines without scores have another exit status")
	}
}

// TestKServeRuntime holds the runtime to the server, as TestServerFitsManifests does the
// Deployment.
func TestKServeRuntime(t *testing.T) {
	var runtime struct {
		Metadata struct{ Name string }
		Spec     struct {
			Annotations map[string]string
			Containers  []container
			Formats     []struct{ Name string } `yaml:"supportedModelFormats"`
		}
	}
	parse(t, "deploy/kubernetes/kserve/runtime.yaml", &runtime)
	c := runtime.Spec.Containers[0]
	checkArgs(t, c, "/mnt/models") // KServe's
	if c.Name != "kserve-container" {
		t.Errorf("container is called %s, and KServe adds the model to kserve-container", c.Name)
	}
	port := strconv.Itoa(c.Ports[0].ContainerPort)
	if !slices.Contains(c.Args, "--port="+port) || runtime.Spec.Annotations["prometheus.io/port"] != port {
		t.Errorf("port %s is not that of %v and %v", port, c.Args, runtime.Spec.Annotations)
	}
	checkProbe(t, c.LivenessProbe, port, http.StatusOK)
	checkProbe(t, c.ReadinessProbe, port, http.StatusServiceUnavailable)
	var service struct {
		Spec struct {
			Predictor struct {
				Model struct {
					Runtime string
					Format  struct{ Name string } `yaml:"modelFormat"`
				}
			}
		}
	}
	parse(t, "deploy/kubernetes/kserve/service.yaml", &service)
	model := service.Spec.Predictor.Model
	if model.Runtime != runtime.Metadata.Name || model.Format.Name != runtime.Spec.Formats[0].Name {
		t.Errorf("service wants %+v, and the runtime is %s for %v", model, runtime.Metadata.Name, runtime.Spec.Formats)
	}
}

// TestPoolFits holds pool, picker and route to each other and to the pods.
func TestPoolFits(t *testing.T) {
	const folder = "deploy/kubernetes/components/inference-pool/"
	var pool struct {
		Metadata struct{ Name string }
		Spec     struct {
			Selector    struct{ MatchLabels map[string]string }
			TargetPorts []struct{ Number int } `yaml:"targetPorts"`
			Picker      struct {
				Name string
				Port struct{ Number int }
			} `yaml:"endpointPickerRef"`
		}
	}
	parse(t, folder+"pool.yaml", &pool)
	base := sets(t)["base"]
	i := slices.IndexFunc(base, func(o object) bool { return o.Kind == "Deployment" })
	if have := base[i].Spec.Template.Spec.Containers[0].Ports[0].ContainerPort; pool.Spec.TargetPorts[0].Number != have {
		t.Errorf("pool sends to port %d, and pods listen on %d", pool.Spec.TargetPorts[0].Number, have)
	}
	picker := decode(t, "picker", source(t, folder+"picker.yaml"))
	args := picker[0].Spec.Template.Spec.Containers[0].Args
	if !slices.Contains(args, "--pool-name="+pool.Metadata.Name) || !slices.Contains(args, "--grpc-port="+strconv.Itoa(pool.Spec.Picker.Port.Number)) {
		t.Errorf("picker is called with %v, and the pool is %+v", args, pool)
	}
	if !slices.ContainsFunc(picker, func(o object) bool {
		return o.Kind == "Service" && o.Metadata.Name == pool.Spec.Picker.Name && o.Spec.Ports[0].Port == pool.Spec.Picker.Port.Number
	}) {
		t.Errorf("pool asks %+v, which is no service", pool.Spec.Picker)
	}
	route := source(t, folder+"route.yaml")
	for _, m := range regexp.MustCompile(`(?m)type: Exact\n +value: (\S+)$`).FindAllStringSubmatch(route, -1) {
		if w := send(m[1]); w == http.StatusNotFound {
			t.Errorf("route has the path %s, which the server has not", m[1])
		}
	}
	if !strings.Contains(route, "kind: InferencePool\n          name: "+pool.Metadata.Name+"\n") {
		t.Error("route does not send to the pool")
	}
}

// TestScalersAgree: KEDA's object scales the Deployment within the bounds of the
// HorizontalPodAutoscaler, by the same target.
func TestScalersAgree(t *testing.T) {
	var hpa, keda map[string]any
	parse(t, "deploy/kubernetes/components/autoscaling/hpa.yaml", &hpa)
	parse(t, "deploy/kubernetes/components/keda/scaledobject.yaml", &keda)
	at := func(from any, path ...any) any {
		for _, key := range path {
			switch key := key.(type) {
			case string:
				from = from.(map[string]any)[key]
			case int:
				from = from.([]any)[key]
			}
		}
		return from
	}
	for _, pair := range [][2]any{
		{at(hpa, "spec", "scaleTargetRef"), at(keda, "spec", "scaleTargetRef")},
		{at(hpa, "spec", "minReplicas"), at(keda, "spec", "minReplicaCount")},
		{at(hpa, "spec", "maxReplicas"), at(keda, "spec", "maxReplicaCount")},
		{at(hpa, "spec", "behavior"), at(keda, "spec", "advanced", "horizontalPodAutoscalerConfig", "behavior")},
		{at(hpa, "spec", "metrics", 0, "pods", "target", "averageValue"), at(keda, "spec", "triggers", 0, "metadata", "threshold")},
	} {
		if a, _ := yaml.Marshal(pair[0]); pair[0] == nil || string(a) != marshal(pair[1]) {
			t.Errorf("the autoscaler has %s, and KEDA %s", a, marshal(pair[1]))
		}
	}
}

func marshal(v any) string {
	text, _ := yaml.Marshal(v)
	return string(text)
}
