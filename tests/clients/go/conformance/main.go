// Runs the cases of conformance through the code that is generated for Go; conformance.py says how.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "holdfast/tests/clients/go/gen/holdfast/v1"
)

const timeout = 20 * time.Second

type step struct {
	Method    string
	As        string
	TimeoutMs int64
	Request   json.RawMessage
	Requests  []json.RawMessage
	Take      int
	Save      map[string]string
}

type failure struct {
	Code     string            `json:"code"`
	Reason   string            `json:"reason,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
	Fields   []string          `json:"fields,omitempty"`
	Retry    bool              `json:"retry,omitempty"`
}

type outcome struct {
	Reply    json.RawMessage    `json:"reply,omitempty"`
	Replies  *[]json.RawMessage `json:"replies,omitempty"`
	Error    *failure           `json:"error,omitempty"`
	Replayed bool               `json:"replayed,omitempty"`
}

// token is the bearer token of each call.
type token string

func (t token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(t)}, nil
}

func (token) RequireTransportSecurity() bool { return true }

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func read(path string) string { return string(must(os.ReadFile(path))) }

var connections = map[string]*grpc.ClientConn{}

// connect returns the connection of a principal: "writer", "reader", "nobody", "flaky" and "flaky-reads".
func connect(who string) *grpc.ClientConn {
	if connection, ok := connections[who]; ok {
		return connection
	}
	address, config, file := os.Getenv("HOLDFAST_ADDRESS"), "service_config_with_ids.json", os.Getenv("HOLDFAST_TOKEN")
	switch who {
	case "reader":
		file = os.Getenv("HOLDFAST_READER_TOKEN")
	case "flaky-reads":
		config = "service_config.json"
		fallthrough
	case "flaky":
		address = os.Getenv("HOLDFAST_FLAKY")
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(must(credentials.NewClientTLSFromFile(os.Getenv("HOLDFAST_CA"), ""))),
		grpc.WithDefaultServiceConfig(read(filepath.Join(os.Getenv("HOLDFAST_CONFIGS"), config))),
	}
	if who != "nobody" {
		options = append(options, grpc.WithPerRPCCredentials(token(strings.TrimSpace(read(file)))))
	}
	connections[who] = must(grpc.Dial(address, options...))
	return connections[who]
}

func newMessage(descriptor protoreflect.MessageDescriptor) proto.Message {
	return must(protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())).New().Interface()
}

func parse(text json.RawMessage, descriptor protoreflect.MessageDescriptor) proto.Message {
	message := newMessage(descriptor)
	must(0, protojson.Unmarshal(text, message))
	return message
}

func run(one step) outcome {
	service, name, _ := strings.Cut(one.Method, "/")
	found := must(protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("holdfast.v1." + service)))
	method := found.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(name))
	path := "/holdfast.v1." + one.Method
	limit := timeout
	if one.TimeoutMs > 0 {
		limit = time.Duration(one.TimeoutMs) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if one.As == "" {
		one.As = "writer"
	}
	connection := connect(one.As)

	if !method.IsStreamingClient() && !method.IsStreamingServer() {
		reply, header := newMessage(method.Output()), metadata.MD{}
		if err := connection.Invoke(ctx, path, parse(one.Request, method.Input()), reply, grpc.Header(&header)); err != nil {
			return outcome{Error: failureOf(err)}
		}
		replayed := len(header.Get("holdfast-replayed")) == 1 && header.Get("holdfast-replayed")[0] == "1"
		return outcome{Reply: must(protojson.Marshal(reply)), Replayed: replayed}
	}
	requests := one.Requests
	if !method.IsStreamingClient() {
		requests = []json.RawMessage{one.Request}
	}
	replies := []json.RawMessage{}
	err := func() error {
		stream, err := connection.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, path)
		if err != nil {
			return err
		}
		for _, request := range requests {
			// After io.EOF the receiving side has the error.
			if err := stream.SendMsg(parse(request, method.Input())); err != nil && err != io.EOF {
				return err
			}
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		for one.Take == 0 || len(replies) < one.Take {
			reply := newMessage(method.Output())
			if err := stream.RecvMsg(reply); err != nil {
				return err
			}
			replies = append(replies, must(protojson.Marshal(reply)))
		}
		return io.EOF
	}()
	if method.IsStreamingServer() {
		if errors.Is(err, io.EOF) {
			return outcome{Replies: &replies}
		}
		return outcome{Replies: &replies, Error: failureOf(err)}
	}
	if errors.Is(err, io.EOF) {
		return outcome{Reply: replies[0]}
	}
	return outcome{Error: failureOf(err)}
}

// nameOf returns the name of a code as gRPC's specification has it.
func nameOf(code codes.Code) string {
	for _, name := range []string{"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "UNAUTHENTICATED",
		"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
		"DATA_LOSS", "CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED"} {
		var other codes.Code
		must(0, other.UnmarshalJSON([]byte(strconv.Quote(name))))
		if other == code {
			return name
		}
	}
	return code.String()
}

func failureOf(err error) *failure {
	told := status.Convert(err)
	result := &failure{Code: nameOf(told.Code())}
	for _, detail := range told.Details() {
		switch one := detail.(type) {
		case *errdetails.ErrorInfo:
			result.Reason, result.Metadata = one.GetReason(), one.GetMetadata()
		case *errdetails.BadRequest:
			for _, violation := range one.GetFieldViolations() {
				result.Fields = append(result.Fields, violation.GetField())
			}
		case *errdetails.RetryInfo:
			result.Retry = true
		}
	}
	return result
}

// at returns the text at a path as "entries.0.etag".
func at(value any, path string) string {
	for _, part := range strings.Split(path, ".") {
		if list, ok := value.([]any); ok {
			value = list[must(strconv.Atoi(part))]
		} else {
			value = value.(map[string]any)[part]
		}
	}
	return value.(string)
}

func main() {
	var cases []struct {
		Case  string
		Steps []json.RawMessage
	}
	text := strings.ReplaceAll(read(os.Args[1]), "$RUN", os.Getenv("HOLDFAST_RUN"))
	must(0, json.Unmarshal([]byte(text), &cases))
	for _, each := range cases {
		saved, outcomes := map[string]string{}, []outcome{}
		for _, raw := range each.Steps {
			for name, value := range saved {
				raw = bytes.ReplaceAll(raw, []byte("${"+name+"}"), []byte(value))
			}
			var one step
			must(0, json.Unmarshal(raw, &one))
			result := run(one)
			outcomes = append(outcomes, result)
			for name, path := range one.Save {
				var value any
				if result.Replies != nil {
					must(0, json.Unmarshal(must(json.Marshal(result.Replies)), &value))
				} else {
					must(0, json.Unmarshal(result.Reply, &value))
				}
				saved[name] = at(value, path)
			}
		}
		fmt.Println(string(must(json.Marshal(map[string]any{"case": each.Case, "outcomes": outcomes}))))
	}
}
