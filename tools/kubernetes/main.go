// kubernetes builds a kustomization as `kubectl apply -k` does, and prints its objects as a JSON list. It fails where an
// API server would refuse one: at a field that its type does not have, and at a pod that breaks the namespace's Pod
// Security Standard. It is a program of its own so that the libraries weigh on the tests alone.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: kubernetes FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder string) error {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return err
	}
	var list []json.RawMessage
	var complaints []error
	for _, r := range built.Resources() {
		text, err := r.MarshalJSON()
		if err != nil {
			return err
		}
		if err := check(text); err != nil {
			complaints = append(complaints, fmt.Errorf("%s %s: %w", r.GetKind(), r.GetName(), err))
		}
		list = append(list, text)
	}
	if err := errors.Join(complaints...); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(list)
}
