// The official Go client under load: its long connection or its webhook
// handler, with a handler that does nothing.
//
// usage: go_subject link|hook|hook-encrypted
//
// BENCH_PORT: the platform's port for link, the port to listen on for hook.
package main

import (
	"context"
	"net/http"
	"os"
	"runtime"

	larkcore "github.com/larksuite/oapi-sdk-go/v3/core"
	"github.com/larksuite/oapi-sdk-go/v3/core/httpserverext"
	larkevent "github.com/larksuite/oapi-sdk-go/v3/event"
	"github.com/larksuite/oapi-sdk-go/v3/event/dispatcher"
	larkim "github.com/larksuite/oapi-sdk-go/v3/service/im/v1"
	larkws "github.com/larksuite/oapi-sdk-go/v3/ws"
)

func main() {
	// One core, as everybody has here.
	runtime.GOMAXPROCS(1)
	kind, port, key := os.Args[1], os.Getenv("BENCH_PORT"), ""
	if kind == "hook-encrypted" {
		key = "an encrypt key as a person types"
	}
	events := dispatcher.NewEventDispatcher("v1c5t0k3n0f32characters000000000", key).
		OnP2MessageReceiveV1(func(context.Context, *larkim.P2MessageReceiveV1) error { return nil })
	quiet := larkevent.WithLogLevel(larkcore.LogLevelError)
	var err error
	if kind == "link" {
		client := larkws.NewClient("cli_a1b2c3d4e5f60718", "secret",
			larkws.WithEventHandler(events),
			larkws.WithDomain("http://127.0.0.1:"+port),
			larkws.WithLogLevel(larkcore.LogLevelError))
		err = client.Start(context.Background())
	} else {
		http.HandleFunc("/webhook/event", httpserverext.NewEventHandlerFunc(events, quiet))
		err = http.ListenAndServe("127.0.0.1:"+port, nil)
	}
	panic(err)
}
