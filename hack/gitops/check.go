package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// What kstatus says of each fixture, by kind and name.
//
//go:embed kstatus.yaml
var kstatus []byte

// expected is Argo CD's health_test.yaml.
type expected struct {
	Tests []struct {
		InputPath    string `json:"inputPath"`
		HealthStatus health `json:"healthStatus"`
	} `json:"tests"`
}

// check judges every fixture of every kind below folder and says how many. All differences are in the error.
func check(folder string) (int, error) {
	var current map[string]map[string]string
	if err := yaml.UnmarshalStrict(kstatus, &current); err != nil {
		return 0, fmt.Errorf("hack/gitops/kstatus.yaml: %w", err)
	}
	var problems []error
	judged := 0
	for _, k := range kinds {
		count, err := checkKind(filepath.Join(folder, group, k.kind), current[k.kind])
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", k.kind, err))
		}
		judged += count
		delete(current, k.kind)
	}
	for kind := range current {
		problems = append(problems, fmt.Errorf("kstatus.yaml names %s, which is no kind of ours", kind))
	}
	return judged, errors.Join(problems...)
}

func checkKind(folder string, current map[string]string) (int, error) {
	script, err := os.ReadFile(filepath.Join(folder, "health.lua"))
	if err != nil {
		return 0, err
	}
	var argo expected
	if err := read(filepath.Join(folder, "health_test.yaml"), &argo); err != nil {
		return 0, err
	}
	fixtures, err := filepath.Glob(filepath.Join(folder, "testdata", "*.yaml"))
	if err != nil || len(fixtures) == 0 {
		return 0, errors.Join(err, fmt.Errorf("no objects in %s/testdata", folder))
	}
	wanted := map[string]health{}
	for _, test := range argo.Tests {
		wanted[test.InputPath] = test.HealthStatus
	}
	var problems []error
	for _, path := range fixtures {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		object, err := readObject(path)
		if err != nil {
			return 0, err
		}
		input := "testdata/" + name + ".yaml"
		if err := judge(object, string(script), wanted[input], current[name]); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
		delete(wanted, input)
		delete(current, name)
	}
	for name := range wanted {
		problems = append(problems, fmt.Errorf("health_test.yaml names %s, which is not there", name))
	}
	for name := range current {
		problems = append(problems, fmt.Errorf("kstatus.yaml names %s, which is not there", name))
	}
	return len(fixtures), errors.Join(problems...)
}

func judge(object *unstructured.Unstructured, script string, wanted health, current string) error {
	var problems []error
	got, err := runHealth(script, object)
	if err != nil {
		return err
	}
	if got != wanted {
		problems = append(problems, fmt.Errorf("Argo CD says %q, expected is %q", got, wanted))
	}
	result, err := status.Compute(object)
	if err != nil {
		return err
	}
	if result.Status.String() != current {
		problems = append(problems, fmt.Errorf("kstatus says %q (%s), expected is %q", result.Status, result.Message, current))
	}
	return errors.Join(problems...)
}

func read(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// readObject reads whole numbers as int64, as clients of the API server do.
func readObject(path string) (*unstructured.Unstructured, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	json, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(json)
}
