package deploy

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// TestObjectsFitTogether checks the references between the objects that are applied
// together.
func TestObjectsFitTogether(t *testing.T) {
	for name, objects := range sets(t) {
		t.Run(name, func(t *testing.T) {
			names := map[string]bool{}
			for _, o := range objects {
				names[o.Kind+"/"+o.Metadata.Name] = true
			}
			for _, o := range objects {
				switch o.Kind {
				case "Deployment", "Job":
					checkPod(t, o, names, name != "base")
				case "Service":
					checkService(t, o, objects)
				case "ServiceMonitor":
					checkMonitor(t, o, objects)
				case "HorizontalPodAutoscaler", "ScaledObject":
					if target := o.Spec.ScaleTargetRef; !names[target.Kind+"/"+target.Name] {
						t.Errorf("autoscaler scales %s/%s, which is not there", target.Kind, target.Name)
					}
				case "PodDisruptionBudget":
					if len(selected(t, o, objects)) == 0 {
						t.Errorf("disruption budget %s selects no pod", o.Metadata.Name)
					}
				}
			}
		})
	}
}

// checkPod checks that a pod meets the restricted security standard and that its volumes
// exist.
func checkPod(t *testing.T, o object, names map[string]bool, whole bool) {
	p := o.Spec.Template.Spec
	if !p.SecurityContext.RunAsNonRoot || p.SecurityContext.SeccompProfile.Type != "RuntimeDefault" {
		t.Errorf("%s runs as root or without seccomp", o.Metadata.Name)
	}
	volumes := map[string]bool{}
	for _, v := range p.Volumes {
		volumes[v.Name] = true
		if claim := v.PersistentVolumeClaim.ClaimName; claim != "" && o.Kind != "Job" && !names["PersistentVolumeClaim/"+claim] {
			t.Errorf("claim %s is not there", claim)
		}
		if config := v.ConfigMap.Name; config != "" && !names["ConfigMap/"+config] {
			t.Errorf("config map %s is not there", config)
		}
	}
	for _, c := range p.Containers {
		s := c.SecurityContext
		if s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
			t.Errorf("container %s may escalate, write to its root, or keeps capabilities", c.Name)
		}
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("container %s mounts %s, which is no volume", c.Name, m.Name)
			}
		}
		if whole && (c.Resources.Requests["cpu"] == "" || c.Resources.Limits["memory"] == "" || !strings.Contains(c.Image, ":") || strings.HasSuffix(c.Image, ":latest")) {
			t.Errorf("container %s of image %q lacks a tag, a request of cpu or a limit of memory", c.Name, c.Image)
		}
		for device, n := range c.Resources.Requests {
			if strings.Contains(device, "/") && c.Resources.Limits[device] != n {
				t.Errorf("container %s requests %s of %s, and its limit is %q", c.Name, n, device, c.Resources.Limits[device])
			}
		}
	}
}

// checkService finds the port of every pod that the Service sends to. A headless Service
// cannot translate port numbers.
func checkService(t *testing.T, o object, objects []object) {
	pods := selected(t, o, objects)
	if len(pods) == 0 {
		t.Errorf("service %s selects no pod", o.Metadata.Name)
	}
	for _, p := range pods {
		for _, sent := range o.Spec.Ports {
			i := slices.IndexFunc(p.Spec.Containers[0].Ports, func(have port) bool { return have.Name == sent.TargetPort })
			if i < 0 {
				t.Errorf("service %s sends to port %s, which the pod has not", o.Metadata.Name, sent.TargetPort)
			} else if have := p.Spec.Containers[0].Ports[i].ContainerPort; o.Spec.ClusterIP == "None" && have != sent.Port {
				t.Errorf("headless service %s names port %d, and the pod listens on %d", o.Metadata.Name, sent.Port, have)
			}
		}
	}
}

// checkMonitor checks that exactly one Service is scraped, on a port it has.
func checkMonitor(t *testing.T, o object, objects []object) {
	var selector struct {
		MatchLabels map[string]string `yaml:"matchLabels"`
	}
	if err := o.Spec.Selector.Decode(&selector); err != nil {
		t.Fatal(err)
	}
	var scraped []object
	for _, other := range objects {
		if other.Kind == "Service" && includes(other.Metadata.Labels, selector.MatchLabels) {
			scraped = append(scraped, other)
		}
	}
	if len(scraped) != 1 {
		t.Fatalf("%d services are scraped; want 1", len(scraped))
	}
	for _, e := range o.Spec.Endpoints {
		if !slices.ContainsFunc(scraped[0].Spec.Ports, func(p port) bool { return p.Name == e.Port }) {
			t.Errorf("port %s is scraped, which service %s has not", e.Port, scraped[0].Metadata.Name)
		}
	}
}

// selected lists the pods that a Service or a disruption budget selects. A base has no
// selectors yet: kustomize adds them.
func selected(t *testing.T, o object, objects []object) (pods []template) {
	want := map[string]string{}
	if err := o.Spec.Selector.Decode(&want); err != nil {
		var nested struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		if err := o.Spec.Selector.Decode(&nested); err != nil {
			t.Fatalf("selector of %s: %v", o.Metadata.Name, err)
		}
		want = nested.MatchLabels
	}
	for _, other := range objects {
		labels := other.Spec.Template.Metadata.Labels
		if other.Kind == "Deployment" && (includes(labels, want) || labels == nil) {
			pods = append(pods, other.Spec.Template)
		}
	}
	return pods
}

func includes(labels, want map[string]string) bool {
	for key, value := range want {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// TestServerFitsManifests checks the container of scored against the server, its flags
// and its image.
func TestServerFitsManifests(t *testing.T) {
	flags := source(t, "cmd/scored/*.go")
	image := source(t, "Dockerfile")
	for name, objects := range sets(t) {
		i := slices.IndexFunc(objects, func(o object) bool { return o.Kind == "Deployment" && o.Metadata.Name == "scored" })
		if i < 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p := objects[i].Spec.Template.Spec
			c := p.Containers[0]
			if p.EnableServiceLinks == nil || *p.EnableServiceLinks {
				t.Error("service links would set SCORED_PORT")
			}
			if listens := "SCORED_PORT=" + strconv.Itoa(c.Ports[0].ContainerPort) + " "; !strings.Contains(image, listens) {
				t.Errorf("the image does not set %s", listens)
			}
			for _, dir := range []string{"/cache", "/tmp"} {
				if !mounted(c, dir) {
					t.Errorf("nothing is mounted on %s, and the root is read-only", dir)
				}
			}
			if !slices.Contains(c.Args, "--enable-metrics") {
				t.Error("there are no metrics to scrape or to scale on without --enable-metrics")
			}
			var drain time.Duration
			for _, arg := range c.Args[1:] {
				flag, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
				if !strings.Contains(flags, strconv.Quote(flag)) {
					t.Errorf("scored has no flag --%s", flag)
				}
				if strings.HasPrefix(value, "/") && !mounted(c, value) {
					t.Errorf("argument %s names a folder that is on no volume", arg)
				}
				if flag == "drain-timeout" {
					drain, _ = time.ParseDuration(value)
				}
			}
			grace := time.Duration(p.TerminationGracePeriodSeconds) * time.Second
			if stop := time.Duration(c.Lifecycle.PreStop.Sleep.Seconds)*time.Second + drain; drain == 0 || grace < stop+10*time.Second {
				t.Errorf("pod is killed after %s; preStop and drain take %s and closing takes time too", grace, stop)
			}
			checkProbe(t, c.LivenessProbe, c.Ports[0].Name, http.StatusOK)
			checkProbe(t, c.ReadinessProbe, c.Ports[0].Name, http.StatusServiceUnavailable)
		})
	}
}

// mounted reports whether a volume holds the folder.
func mounted(c container, dir string) bool {
	for _, m := range c.VolumeMounts {
		if dir == m.MountPath || strings.HasPrefix(dir, m.MountPath+"/") {
			return true
		}
	}
	return false
}

// checkProbe sends a probe's request to a server that has no model yet and demands a key
// of all other clients.
func checkProbe(t *testing.T, p probe, port string, want int) {
	if got := send(p.HTTPGet.Path); got != want || p.HTTPGet.Port != port {
		t.Errorf("probe of %s on %s gets %d while loading; want %d on %s", p.HTTPGet.Path, p.HTTPGet.Port, got, want, port)
	}
}

// send requests a path of such a server and returns the status.
func send(path string) int {
	w := httptest.NewRecorder()
	newServer().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code
}

// TestEnvoyFindsPods checks the address that Envoy balances over, and the paths that it
// routes and probes.
func TestEnvoyFindsPods(t *testing.T) {
	text := source(t, "deploy/kubernetes/components/prefix-affinity/envoy-config.yaml")
	services := map[string]int{}
	for _, o := range sets(t)["base"] {
		if o.Kind == "Service" && o.Spec.ClusterIP == "None" {
			services[o.Metadata.Name] = o.Spec.Ports[0].Port
		}
	}
	found := 0
	for _, m := range regexp.MustCompile(`socket_address: \{address: ([a-z-]+), port_value: (\d+)\}`).FindAllStringSubmatch(text, -1) {
		found++
		if strconv.Itoa(services[m[1]]) != m[2] {
			t.Errorf("envoy balances over %s:%s; the headless services are %v", m[1], m[2], services)
		}
	}
	for _, m := range regexp.MustCompile(`\bpath: (/[a-z0-9/_]+)`).FindAllStringSubmatch(text, -1) {
		found++
		w := httptest.NewRecorder()
		newServer().ServeHTTP(w, httptest.NewRequest(http.MethodGet, m[1], nil))
		if w.Code == http.StatusNotFound {
			t.Errorf("envoy uses the path %s, which the server has not", m[1])
		}
	}
	if found < 4 {
		t.Errorf("only %d addresses and paths are found", found)
	}
	var config map[string]any
	if err := yaml.Unmarshal([]byte(text), &config); err != nil || len(slices.Collect(maps.Keys(config))) != 2 {
		t.Errorf("envoy's config has the keys %v: %v", slices.Collect(maps.Keys(config)), err)
	}
}

// source returns the text of the files that match a pattern below the repository's root.
func source(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s matches nothing: %v", pattern, err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
