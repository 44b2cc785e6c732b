package main

import (
	"errors"
	"strings"
)

// folders is a flag that may be given several times, each time with a folder or several
// with commas between them. It adds to what is there, so a variable of the environment
// is read only where the flag is not given.
type folders []string

// String implements flag.Value.
func (f *folders) String() string { return strings.Join(*f, ",") }

// Set implements flag.Value.
func (f *folders) Set(text string) error {
	for dir := range strings.SplitSeq(text, ",") {
		if dir == "" {
			return errors.New("it must be a folder, or several with commas between them")
		}
		*f = append(*f, dir)
	}
	return nil
}
