// Package xplane holds the messages of XLA's profile format.
package xplane

//go:generate protoc --go_out=. --go_opt=paths=source_relative xplane.proto
