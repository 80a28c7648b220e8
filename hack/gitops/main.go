// Command gitops holds what GitOps tools are told of our kinds against what they make of it: Argo CD's health scripts run in its own
// interpreter, and Flux' kstatus by its own library, over objects that real servers have written.
//
//	gitops generate config/argocd    writes the script of each kind and the patch for argocd-cm
//	gitops check    config/argocd    fails if a fixture is judged otherwise than expected, or is not expected at all
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gitops:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "generate" {
		return generate(args[1])
	}
	if len(args) == 2 && args[0] == "check" {
		judged, err := check(args[1])
		fmt.Println("gitops:", judged, "objects judged by Argo CD's health scripts and by kstatus")
		return err
	}
	return errors.New("usage: gitops generate|check <folder>")
}
