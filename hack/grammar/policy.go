package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"
	"go.yaml.in/yaml/v3"
)

const (
	name = "decisions.tidegate.dev"
	slot = "decision.tidegate.dev/1"
)

// ownName is the rule that compares the name in a decision with the caller's: what it compares is the name as admission reads it.
var ownName = regexp.MustCompile(`^!variables\.deciding \|\| (.+) == request\.userInfo\.username$`)

// policy holds the variables of the manifest and what a reading consists of, compiled.
type policy struct {
	variables           map[string]cel.Program
	ok, by, verb, stage cel.Program
}

// manifest is the part of a ValidatingAdmissionPolicy that is read here.
type manifest struct {
	Metadata struct{ Name string }
	Spec     struct {
		Variables   []struct{ Name, Expression string }
		Validations []struct{ Expression string }
	}
}

// parse compiles the first document of the manifest.
func parse(text []byte) (*policy, error) {
	var m manifest
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&m); err != nil {
		return nil, err
	}
	if m.Metadata.Name != name {
		return nil, fmt.Errorf("the first document is %q, not %s", m.Metadata.Name, name)
	}
	env, err := environment()
	if err != nil {
		return nil, err
	}
	p := &policy{variables: map[string]cel.Program{}}
	for _, variable := range m.Spec.Variables {
		// Rights are asked of the server's authorizer, which is not here; nothing of the grammar depends on them.
		if strings.Contains(variable.Expression, "authorizer.") {
			continue
		}
		if p.variables[variable.Name], err = compile(env, variable.Expression); err != nil {
			return nil, err
		}
	}
	for _, validation := range m.Spec.Validations {
		if found := ownName.FindStringSubmatch(validation.Expression); found != nil {
			if p.by, err = compile(env, found[1]); err != nil {
				return nil, err
			}
		}
	}
	if p.by == nil {
		return nil, errors.New("no validation reads '!variables.deciding || <name> == request.userInfo.username'")
	}
	if p.ok, err = compile(env, "variables.grammar"); err != nil {
		return nil, err
	}
	if p.verb, err = compile(env, "variables.verb"); err != nil {
		return nil, err
	}
	p.stage, err = compile(env, "variables.stage")
	return p, err
}

// environment is the API server's, as far as the grammar needs it: k8s.io/apiserver/pkg/cel/environment/base.go.
func environment() (*cel.Env, error) {
	return cel.NewEnv(
		cel.HomogeneousAggregateLiterals(),
		cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(),
		cel.ASTValidators(cel.ValidateRegexLiterals()),
		ext.Strings(ext.StringsVersion(2)),
		cel.Variable("object", cel.DynType),
		cel.Variable("oldObject", cel.DynType),
		cel.Variable("request", cel.DynType),
		cel.Variable("variables", cel.DynType),
	)
}

func compile(env *cel.Env, expression string) (cel.Program, error) {
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		return nil, fmt.Errorf("%q: %w", expression, issues.Err())
	}
	return env.Program(ast, cel.EvalOptions(cel.OptOptimize))
}

// read gives the reading of a line that is written as the first decision of a request.
func (p *policy) read(line string) reading {
	metadata := map[string]any{"annotations": map[string]string{slot: line}}
	activation := map[string]any{
		"object":    map[string]any{"metadata": metadata},
		"oldObject": map[string]any{"metadata": map[string]any{}},
		"request":   map[string]any{"operation": "UPDATE"},
	}
	activation["variables"] = &lazy{policy: p, activation: activation, known: map[string]ref.Val{}}
	var r reading
	var failed error
	r.Ok, failed = value[bool](p.ok, activation)
	if !r.Ok {
		return reading{Error: message(failed)}
	}
	var by, verb, stage error
	r.By, by = value[string](p.by, activation)
	r.Verb, verb = value[string](p.verb, activation)
	r.Stage, stage = value[string](p.stage, activation)
	if failed = errors.Join(by, verb, stage); failed != nil {
		return reading{Error: message(failed)}
	}
	return r
}

func value[T any](program cel.Program, activation map[string]any) (T, error) {
	var none T
	result, _, err := program.Eval(activation)
	if err != nil {
		return none, err
	}
	value, ok := result.Value().(T)
	if !ok {
		return none, fmt.Errorf("a %T is not a %T", result.Value(), none)
	}
	return value, nil
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// lazy is `variables`: as on the API server, each is evaluated when it is first asked for.
type lazy struct {
	traits.Mapper
	policy     *policy
	activation map[string]any
	known      map[string]ref.Val
}

func (l *lazy) Type() ref.Type { return types.MapType }

// Find gives the value of a variable, computed once.
func (l *lazy) Find(key ref.Val) (ref.Val, bool) {
	name, _ := key.Value().(string)
	program, declared := l.policy.variables[name]
	if !declared {
		return types.NewErr("variables.%s is not in the manifest", name), true
	}
	if value, known := l.known[name]; known {
		return value, true
	}
	value, _, err := program.Eval(l.activation)
	if err != nil {
		value = types.WrapErr(fmt.Errorf("variables.%s: %w", name, err))
	}
	l.known[name] = value
	return value, true
}

// Get is Find for a key that has to be there.
func (l *lazy) Get(key ref.Val) ref.Val {
	value, _ := l.Find(key)
	return value
}
