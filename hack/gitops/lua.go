package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// health is what a script answers, as Argo CD shows it.
type health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// The statuses that Argo CD knows.
var statuses = []string{"Unknown", "Progressing", "Healthy", "Suspended", "Degraded", "Missing"}

// Argo CD ends a script after a second.
const limit = time.Second

// runHealth runs a script as Argo CD runs one of argocd-cm: the object is the global obj, and of Lua's libraries there are only the base
// functions and table.
func runHealth(script string, object *unstructured.Unstructured) (health, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return health{}, err
		}
	}
	deadline, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	state.SetContext(deadline)
	state.SetGlobal("obj", value(state, object.Object))
	if err := state.DoString(script); err != nil {
		return health{}, err
	}
	answer, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return health{}, fmt.Errorf("the script answers with a %s, not a table", state.Get(-1).Type())
	}
	got := health{Status: lua.LVAsString(answer.RawGetString("status")), Message: lua.LVAsString(answer.RawGetString("message"))}
	if !slices.Contains(statuses, got.Status) {
		return got, fmt.Errorf("%q is no health status of Argo CD", got.Status)
	}
	return got, nil
}

func value(state *lua.LState, of any) lua.LValue {
	switch of := of.(type) {
	case bool:
		return lua.LBool(of)
	case int64:
		return lua.LNumber(of)
	case float64:
		return lua.LNumber(of)
	case string:
		return lua.LString(of)
	case []any:
		table := state.NewTable()
		for _, item := range of {
			table.Append(value(state, item))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for key, item := range of {
			table.RawSetString(key, value(state, item))
		}
		return table
	default:
		return lua.LNil
	}
}
