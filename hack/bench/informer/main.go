// Keeps every ElevationRequest in the cache of a client-go informer, as an operator in Go would, and says once it is filled how many
// there are and how much memory it takes. It ends with its standard input.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"runtime/debug"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		log.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	factory := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	requests := schema.GroupVersionResource{Group: "tidegate.dev", Version: "v1alpha1", Resource: "elevationrequests"}
	informer := factory.ForResource(requests).Informer()
	ctx := context.Background()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	// What only the list needed goes back to the system, so that what is left is the cache.
	runtime.GC()
	debug.FreeOSMemory()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	fmt.Printf("{\"objects\":%d,\"heap\":%d}\n", len(informer.GetStore().ListKeys()), memory.HeapAlloc)
	_, _ = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(informer)
}
