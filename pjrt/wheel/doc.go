// Package wheel finds plugins, and fetches those that a package index has as Python
// wheels.
//
//   - [Resolve] turns a name such as "cpu" into the path of a plugin's file, fetching
//     it if need be.
//   - [Setup] fetches a plugin and checks what is there.
//
// What may be fetched is pinned by its digest in pins.go. It must not know how a plugin
// is opened, and has no C: that is for pjrt. Begin with Resolve.
package wheel
