package main

import (
	"errors"
	"fmt"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	security "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/json"
)

// types are those that the deployment uses. What it does not use is not compiled.
var types = map[string]func() any{
	"v1 ConfigMap":                            func() any { return &core.ConfigMap{} },
	"v1 Namespace":                            func() any { return &core.Namespace{} },
	"v1 PersistentVolumeClaim":                func() any { return &core.PersistentVolumeClaim{} },
	"v1 Secret":                               func() any { return &core.Secret{} },
	"v1 Service":                              func() any { return &core.Service{} },
	"apps/v1 Deployment":                      func() any { return &apps.Deployment{} },
	"apps/v1 StatefulSet":                     func() any { return &apps.StatefulSet{} },
	"autoscaling/v2 HorizontalPodAutoscaler":  func() any { return &autoscaling.HorizontalPodAutoscaler{} },
	"networking.k8s.io/v1 Ingress":            func() any { return &networking.Ingress{} },
	"networking.k8s.io/v1 NetworkPolicy":      func() any { return &networking.NetworkPolicy{} },
	"policy/v1 PodDisruptionBudget":           func() any { return &policy.PodDisruptionBudget{} },
	"monitoring.coreos.com/v1 PrometheusRule": func() any { return &monitoring.PrometheusRule{} },
	"monitoring.coreos.com/v1 ServiceMonitor": func() any { return &monitoring.ServiceMonitor{} },
}

// check decodes an object as an API server does that is asked to be strict: names of fields to the letter, each once.
func check(text []byte) error {
	var is meta.TypeMeta
	if err := json.UnmarshalCaseSensitivePreserveInts(text, &is); err != nil {
		return err
	}
	make, known := types[is.APIVersion+" "+is.Kind]
	if !known {
		return fmt.Errorf("%s %s is not in the list of types", is.APIVersion, is.Kind)
	}
	object := make()
	strict, err := json.UnmarshalStrict(text, object)
	return errors.Join(err, errors.Join(strict...), secure(object))
}

// secure holds the pods of an object against the Pod Security Standard "restricted", as the API server's admission does.
func secure(object any) error {
	var pod core.PodTemplateSpec
	switch o := object.(type) {
	case *apps.Deployment:
		pod = o.Spec.Template
	case *apps.StatefulSet:
		pod = o.Spec.Template
	default:
		return nil
	}
	evaluator, err := security.NewEvaluator(security.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	if result := security.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec)); !result.Allowed {
		return errors.New(result.ForbiddenDetail())
	}
	return nil
}
