//go:build tools

// This file names the programs that build.sh builds to generate code, so that go.mod has their versions.
package main

import (
	_ "google.golang.org/grpc/cmd/protoc-gen-go-grpc"
	_ "google.golang.org/protobuf/cmd/protoc-gen-go"
)
