// Package wheel finds plugins, and fetches those that a package index has as Python
// wheels.
//
//   - [Resolve] turns a name such as "cpu" into the path of a plugin's file, and fetches
//     the plugin if it is nowhere.
//   - [Setup] fetches a plugin, unless an unharmed one is there.
//   - [Check] tells whether a file can be a plugin for this machine at all.
//
// Every wheel and every library inside is pinned by its digest in pins.go. A download
// goes on where an earlier one ended; a plugin appears in its folder by one rename, when
// all of it is there and checked.
//
// The package must not know how a plugin is opened, and has no C: that is for pjrt.
// Begin with Resolve.
package wheel
