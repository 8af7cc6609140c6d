package deploy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// selector is a label selector; one without anything in it selects all.
type selector struct {
	MatchLabels      map[string]string
	MatchExpressions []struct {
		Key, Operator string
		Values        []string
	}
}

func (s selector) selects(labels map[string]string) bool {
	for key, value := range s.MatchLabels {
		if labels[key] != value {
			return false
		}
	}
	for _, e := range s.MatchExpressions {
		if in := slices.Contains(e.Values, labels[e.Key]); in != (e.Operator == "In") {
			return false
		}
	}
	return true
}

// selectorOf reads a selector, or the plain labels of a Service.
func selectorOf(any any) (s selector) {
	text, err := json.Marshal(any)
	if err != nil || json.Unmarshal(text, &s) != nil {
		return selector{MatchLabels: map[string]string{"no": "selector"}}
	}
	if s.MatchLabels == nil && s.MatchExpressions == nil {
		_ = json.Unmarshal(text, &s.MatchLabels)
	}
	return s
}

// policyRule is a rule of a NetworkPolicy: no peers are all, no ports are all.
type policyRule struct {
	From, To []peer
	Ports    []struct {
		Port     int
		Protocol string
	}
}

type peer struct{ PodSelector, NamespaceSelector *selector }

// ours is the namespace of all overlays.
const ours = "sluice"

// place is who may talk: a pod of the cluster, or somebody in another namespace, or in none.
type place struct {
	labels    map[string]string
	namespace string // empty: outside of the cluster
}

func (p peer) matches(who place) bool {
	if p.NamespaceSelector == nil {
		return who.namespace == ours && p.PodSelector.selects(who.labels)
	}
	return who.namespace != "" && p.NamespaceSelector.selects(map[string]string{"kubernetes.io/metadata.name": who.namespace}) &&
		(p.PodSelector == nil || p.PodSelector.selects(who.labels))
}

func (r policyRule) allows(peers []peer, other place, port int) bool {
	isPeer := len(peers) == 0 || slices.ContainsFunc(peers, func(p peer) bool { return p.matches(other) })
	isPort := len(r.Ports) == 0
	for _, p := range r.Ports {
		isPort = isPort || p.Port == port
	}
	return isPeer && isPort
}

// allows reports whether a connection is let out of where it begins and in where it ends.
func (c cluster) allows(from, to place, port int) bool {
	return c.lets("Egress", from, to, port) && c.lets("Ingress", to, from, port)
}

// lets reports whether the policies of a place let a connection with the other through; in one direction.
func (c cluster) lets(direction string, here, other place, port int) bool {
	if here.namespace != ours {
		return true
	}
	isolated := false
	for _, o := range c {
		if o.Kind != "NetworkPolicy" || !o.Spec.PodSelector.selects(here.labels) || !slices.Contains(o.Spec.PolicyTypes, direction) {
			continue
		}
		isolated = true
		for _, rule := range o.Spec.Egress {
			if direction == "Egress" && rule.allows(rule.To, other, port) {
				return true
			}
		}
		for _, rule := range o.Spec.Ingress {
			if direction == "Ingress" && rule.allows(rule.From, other, port) {
				return true
			}
		}
	}
	return !isolated
}

// places are the pods by the names of their workloads, and others that may try.
func (c cluster) places() map[string]place {
	all := map[string]place{
		"world": {}, "dns": {namespace: "kube-system"}, "ingress": {namespace: "ingress-nginx"}, "prometheus": {namespace: "monitoring"}, "neighbour": {namespace: "other"},
	}
	for _, o := range c {
		if p := o.pod(); p != nil {
			all[strings.TrimSuffix(o.Metadata.Name, "-consumer")] = place{p.labels, p.namespace}
		}
	}
	return all
}

// edges are the connections that a policy allows, of pods here with each other and with those elsewhere.
func (c cluster) edges() (all []string) {
	places := c.places()
	for from := range places {
		for to := range places {
			for _, port := range []int{53, 80, 443, 3000, 3001, 4222, 5432, 6222, 6379, 8222} {
				isOurs := places[from].namespace == ours || places[to].namespace == ours
				if isOurs && c.allows(places[from], places[to], port) {
					all = append(all, fmt.Sprintf("%s>%s:%d", from, to, port))
				}
			}
		}
	}
	return all
}

// Who talks to whom in which overlay, and among all places and ports nobody else.
func TestThePoliciesAllowWhatIsNeededAndNothingElse(t *testing.T) {
	t.Parallel()
	every := func(from, to string) (all string) {
		for place, at := range (cluster{}).places() {
			if at.namespace != ours {
				all += " " + strings.ReplaceAll(from+">"+to, "any", place)
			}
		}
		return all
	}
	always := "gateway>nats:4222 gateway>nats:8222 gateway>redis:6379 nats>nats:6222 pbx>nats:4222 telesales>nats:4222 autocall>nats:4222" +
		" operator>nats:4222 operator>dns:53 gateway>dns:53 nats>dns:53 redis>dns:53 pbx>dns:53 telesales>dns:53 autocall>dns:53"
	inside := always + " archive>dns:53 archive>nats:4222" +
		every("archive", "any:443") + every("pbx", "any:5432") + every("telesales", "any:5432") + every("autocall", "any:5432") +
		" prometheus>gateway:3001 prometheus>pbx:3001 prometheus>telesales:3001 prometheus>autocall:3001 prometheus>archive:3001"
	forward := " forward>dns:53 forward>nats:4222 prometheus>forward:3001" + every("forward", "any:80") + every("forward", "any:443")
	needed := map[string]string{
		"small":      always + every("any", "gateway:3000"),
		"production": inside + " ingress>gateway:3000",
		"everything": inside + forward + " ingress>gateway:3000",
		"direct":     inside + forward + every("any", "gateway:3000"),
	}
	for name, c := range overlays(t) {
		want, got := strings.Fields(needed[name]), c.edges()
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%s: needed\n%s\nallowed\n%s", name, strings.Join(want, " "), strings.Join(got, " "))
		}
	}
}
