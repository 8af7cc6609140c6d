package deploy

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

// cluster is all objects of an overlay.
type cluster []object

// object is what the tests look at of any kind of object.
type object struct {
	Kind     string
	Metadata struct {
		Name, Namespace string
		Labels          map[string]string
	}
	Data map[string]string
	Spec struct {
		Selector    any // a Service's is a plain map
		PodSelector selector
		Template    struct {
			Spec     podSpec
			Metadata struct{ Labels map[string]string }
		}
		VolumeClaimTemplates []struct{ Metadata struct{ Name string } }
		ServiceName          string
		ScaleTargetRef       struct{ Kind, Name string }
		Ports                []struct {
			Name       string
			TargetPort string
		}
		Endpoints       []endpoint
		Rules           []ingressRule
		PolicyTypes     []string
		Ingress, Egress []policyRule
	}
}

type endpoint struct {
	Port          string
	Authorization struct {
		Credentials struct{ Name, Key string }
	}
}

type ingressRule struct {
	HTTP struct {
		Paths []struct {
			Backend struct {
				Service struct {
					Name string
					Port struct{ Name string }
				}
			}
		}
	}
}

type podSpec struct {
	Containers                    []container
	TerminationGracePeriodSeconds int
	Volumes                       []struct {
		Name                  string
		ConfigMap             struct{ Name string }
		PersistentVolumeClaim struct{ ClaimName string }
		Projected             struct {
			Sources []projection
		}
	}
}

type projection struct {
	ConfigMap struct {
		Name  string
		Items []struct{ Key, Path string }
	}
	Secret struct {
		Name     string
		Optional bool
	}
}

type container struct {
	Image, Name string
	Command     []string
	Env         []struct{ Name, Value string }
	Ports       []struct {
		Name          string
		ContainerPort int
	}
	VolumeMounts                                []struct{ Name, MountPath string }
	StartupProbe, LivenessProbe, ReadinessProbe *probe
	Lifecycle                                   struct {
		PreStop struct{ Sleep struct{ Seconds int } }
	}
	Resources       struct{ Requests, Limits map[string]string }
	SecurityContext struct{ ReadOnlyRootFilesystem bool }
}

type probe struct {
	HTTPGet   struct{ Path, Port string }
	TCPSocket struct{ Port string }
	Exec      struct{ Command []string }
}

// certificate is a Secret that others make: cert-manager, or whoever runs the cluster.
const certificate = "sluice-tls"

// pod is what a workload's template makes; nil where the object is no workload.
func (o object) pod() *pod {
	if len(o.Spec.Template.Spec.Containers) == 0 {
		return nil
	}
	return &pod{podSpec: o.Spec.Template.Spec, labels: o.Spec.Template.Metadata.Labels, namespace: o.Metadata.Namespace}
}

type pod struct {
	podSpec
	labels    map[string]string
	namespace string
}

// port is the number of a port that a container of the pod names; 0 where none does.
func (p *pod) port(name string) int {
	for _, c := range p.Containers {
		for _, port := range c.Ports {
			if port.Name == name {
				return port.ContainerPort
			}
		}
	}
	return 0
}

// pods are those that a selector selects.
func (c cluster) pods(s selector) (selected []*pod) {
	for _, o := range c {
		if p := o.pod(); p != nil && s.selects(p.labels) {
			selected = append(selected, p)
		}
	}
	return selected
}

// has reports whether there is an object of this kind and name.
func (c cluster) has(kind, name string) bool { return c.find(kind, name) != nil }

func (c cluster) find(kind, name string) *object {
	i := slices.IndexFunc(c, func(o object) bool { return o.Kind == kind && o.Metadata.Name == name })
	if i < 0 {
		return nil
	}
	return &c[i]
}

// complaints are what a reviewer would say of an object.
func (c cluster) complaints(o object) (all []string) {
	say := func(format string, a ...any) { all = append(all, fmt.Sprintf(format, a...)) }
	if o.Metadata.Namespace == "" && o.Kind != "Namespace" {
		say("it has no namespace")
	}
	switch o.Kind {
	case "Service":
		c.service(o, say)
	case "StatefulSet", "Deployment":
		if !selectorOf(o.Spec.Selector).selects(o.Spec.Template.Metadata.Labels) {
			say("its selector does not select its own pods")
		}
		if o.Kind == "StatefulSet" && !c.has("Service", o.Spec.ServiceName) {
			say("there is no Service %s", o.Spec.ServiceName)
		}
		c.references(o, say)
	case "PodDisruptionBudget":
		if len(c.pods(selectorOf(o.Spec.Selector))) == 0 {
			say("it selects no pod")
		}
	case "NetworkPolicy":
		if len(c.pods(o.Spec.PodSelector)) == 0 {
			say("it selects no pod")
		}
	case "HorizontalPodAutoscaler":
		if to := o.Spec.ScaleTargetRef; !c.has(to.Kind, to.Name) {
			say("there is no %s %s", to.Kind, to.Name)
		}
	case "ServiceMonitor":
		c.monitor(o, say)
	case "Ingress":
		c.ingress(o, say)
	}
	return all
}

func (c cluster) service(o object, say func(string, ...any)) {
	selected := c.pods(selectorOf(o.Spec.Selector))
	if len(selected) != 1 {
		say("it selects the pods of %d workloads", len(selected))
	}
	for _, port := range o.Spec.Ports {
		for _, p := range selected {
			if p.port(port.TargetPort) == 0 {
				say("no container has a port %s", port.TargetPort)
			}
		}
	}
}

func (c cluster) references(o object, say func(string, ...any)) {
	p, volumes := o.pod(), map[string]bool{}
	for _, v := range o.Spec.VolumeClaimTemplates {
		volumes[v.Metadata.Name] = true
	}
	for _, v := range p.Volumes {
		volumes[v.Name] = true
		if name := v.ConfigMap.Name; name != "" && !c.has("ConfigMap", name) {
			say("there is no ConfigMap %s", name)
		}
		if name := v.PersistentVolumeClaim.ClaimName; name != "" && !c.has("PersistentVolumeClaim", name) {
			say("there is no PersistentVolumeClaim %s", name)
		}
		for _, source := range v.Projected.Sources {
			if name := source.ConfigMap.Name; name != "" && !c.has("ConfigMap", name) {
				say("there is no ConfigMap %s", name)
			}
			if name := source.Secret.Name; name != "" && !source.Secret.Optional && name != certificate && !c.has("Secret", name) {
				say("there is no Secret %s", name)
			}
		}
	}
	for _, container := range p.Containers {
		for _, mount := range container.VolumeMounts {
			if !volumes[mount.Name] {
				say("there is no volume %s", mount.Name)
			}
		}
		for _, probe := range []*probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
			if probe != nil && probe.HTTPGet.Port+probe.TCPSocket.Port != "" && p.port(probe.HTTPGet.Port+probe.TCPSocket.Port) == 0 {
				say("a probe goes to the port %s, which it has not", probe.HTTPGet.Port+probe.TCPSocket.Port)
			}
		}
	}
}

func (c cluster) monitor(o object, say func(string, ...any)) {
	selected := 0
	for _, service := range c {
		if service.Kind == "Service" && selectorOf(o.Spec.Selector).selects(service.Metadata.Labels) {
			selected++
			for _, endpoint := range o.Spec.Endpoints {
				if !service.hasPort(endpoint.Port) {
					say("the Service %s has no port %s", service.Metadata.Name, endpoint.Port)
				}
			}
		}
	}
	if selected == 0 {
		say("it selects no Service")
	}
	for _, endpoint := range o.Spec.Endpoints {
		credentials := endpoint.Authorization.Credentials
		if secret := c.find("Secret", credentials.Name); secret == nil || secret.Data[credentials.Key] == "" {
			say("there is no Secret %s with a %s", credentials.Name, credentials.Key)
		}
	}
}

func (c cluster) ingress(o object, say func(string, ...any)) {
	for _, rule := range o.Spec.Rules {
		for _, path := range rule.HTTP.Paths {
			to := path.Backend.Service
			if service := c.find("Service", to.Name); service == nil || !service.hasPort(to.Port.Name) {
				say("there is no Service %s with a port %s", to.Name, to.Port.Name)
			}
		}
	}
}

func (o object) hasPort(name string) bool {
	for _, port := range o.Spec.Ports {
		if port.Name == name {
			return true
		}
	}
	return false
}

// files is a folder with what a pod finds in its projected volumes.
func (c cluster) files(t *testing.T, p *pod) string {
	t.Helper()
	dir := t.TempDir()
	for _, v := range p.Volumes {
		for _, source := range v.Projected.Sources {
			if o := c.find("ConfigMap", source.ConfigMap.Name); o != nil {
				for name, text := range o.Data {
					file := source.at(dir, name)
					if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
						t.Fatal(err)
					}
					put(t, file, text)
				}
			}
			if source.Secret.Name == certificate {
				authority := rig.NewAuthority(t)
				authority.Issue("tls")
				link(t, authority.File("tls"), filepath.Join(dir, "tls.crt"))
				link(t, authority.File("tls-key"), filepath.Join(dir, "tls.key"))
			}
			if o := c.find("Secret", source.Secret.Name); o != nil {
				for name, value := range o.Data {
					text, err := base64.StdEncoding.DecodeString(value)
					if err != nil {
						t.Fatal(err)
					}
					put(t, filepath.Join(dir, name), string(text))
				}
			}
		}
	}
	return dir
}

// at is where a key of a ConfigMap is in the folder.
func (p projection) at(dir, key string) string {
	for _, item := range p.ConfigMap.Items {
		if item.Key == key {
			key = item.Path
		}
	}
	return filepath.Join(dir, key)
}

func link(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Symlink(from, to); err != nil {
		t.Fatal(err)
	}
}
