// Package deploy checks that the files under deploy/ fit the server and each other.
package deploy

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const root = "../.."

// object has the checked fields of a Kubernetes object.
type object struct {
	Kind     string
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	Spec struct {
		Template       template
		Selector       yaml.Node
		Ports          []port
		ClusterIP      string                      `yaml:"clusterIP"`
		ScaleTargetRef struct{ Kind, Name string } `yaml:"scaleTargetRef"`
		Metrics        []struct {
			Pods struct{ Metric struct{ Name string } }
		}
		Endpoints []struct{ Port, Path string }
	}
}

type template struct {
	Metadata struct{ Labels map[string]string }
	Spec     pod
}

type pod struct {
	EnableServiceLinks            *bool `yaml:"enableServiceLinks"`
	TerminationGracePeriodSeconds int   `yaml:"terminationGracePeriodSeconds"`
	SecurityContext               struct {
		RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Containers []container
	Volumes    []struct {
		Name                  string
		PersistentVolumeClaim struct {
			ClaimName string `yaml:"claimName"`
		} `yaml:"persistentVolumeClaim"`
		ConfigMap struct{ Name string } `yaml:"configMap"`
	}
}

type container struct {
	Name, Image    string
	Args           []string
	Ports          []port
	LivenessProbe  probe `yaml:"livenessProbe"`
	ReadinessProbe probe `yaml:"readinessProbe"`
	Lifecycle      struct {
		PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
	}
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
	Resources struct{ Requests, Limits map[string]string }
}

type port struct {
	Name          string
	Port          int
	TargetPort    string `yaml:"targetPort"`
	ContainerPort int    `yaml:"containerPort"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// decode reads the documents of a YAML text.
func decode(t *testing.T, name, text string) []object {
	t.Helper()
	var objects []object
	for decoder := yaml.NewDecoder(strings.NewReader(text)); ; {
		var o object
		err := decoder.Decode(&o)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		objects = append(objects, o)
	}
}

// TestEveryFileParses reads all YAML under deploy/ and checks that the files that a
// kustomization names exist.
func TestEveryFileParses(t *testing.T) {
	files := 0
	err := filepath.WalkDir(filepath.Join(root, "deploy"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for decoder := yaml.NewDecoder(strings.NewReader(string(text))); ; {
			var any map[string]any
			if err := decoder.Decode(&any); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s: %v", path, err)
				break
			}
		}
		if entry.Name() == "kustomization.yaml" {
			checkKustomization(t, path, text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Errorf("only %d files are under deploy/", files)
	}
}

func checkKustomization(t *testing.T, path string, text []byte) {
	var k struct {
		Resources, Components []string
		Patches               []struct{ Path string }
	}
	if err := yaml.Unmarshal(text, &k); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	for _, patch := range k.Patches {
		k.Resources = append(k.Resources, patch.Path)
	}
	for _, name := range append(k.Resources, k.Components...) {
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), name)); err != nil {
			t.Errorf("%s names %s, which is not there", path, name)
		}
	}
}

// sets are the groups of objects that are applied together: the base as written and,
// where kubectl or kustomize is installed, each overlay as rendered, with and without
// every component.
func sets(t *testing.T) map[string][]object {
	t.Helper()
	kubernetes := filepath.Join(root, "deploy", "kubernetes")
	found := map[string][]object{}
	for _, file := range []string{"deployment", "service", "disruption", "models"} {
		text, err := os.ReadFile(filepath.Join(kubernetes, "base", file+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		found["base"] = append(found["base"], decode(t, file, string(text))...)
	}
	render := renderer()
	if render == nil {
		t.Log("neither kubectl nor kustomize is installed: overlays are not rendered")
		return found
	}
	for _, name := range []string{"overlays/cpu", "overlays/tpu-v6e", "overlays/cuda", "fetch-model", "batch", "kserve"} {
		found[name] = decode(t, name, rendered(t, render, filepath.Join(kubernetes, name)))
	}
	for _, name := range []string{"prefix-affinity", "inference-pool", "keda"} {
		found["with "+name] = decode(t, name, rendered(t, render, filepath.Join("with", name)))
	}
	return found
}

func renderer() []string {
	for _, command := range [][]string{{"kubectl", "kustomize"}, {"kustomize", "build"}} {
		if _, err := exec.LookPath(command[0]); err == nil {
			return command
		}
	}
	return nil
}

func rendered(t *testing.T, render []string, dir string) string {
	t.Helper()
	command := exec.Command(render[0], append(render[1:], dir)...)
	var faults strings.Builder
	command.Stderr = &faults
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s is not rendered: %v\n%s", dir, err, faults.String())
	}
	return string(out)
}
