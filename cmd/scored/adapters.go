package main

import (
	"errors"
	"strings"
)

// folders is a flag that may be given several times, each time with a folder or several
// with commas between them.
type folders []string

func (f *folders) String() string { return strings.Join(*f, ",") }

func (f *folders) Set(text string) error {
	for dir := range strings.SplitSeq(text, ",") {
		if dir == "" {
			return errors.New("it must be a folder, or several with commas between them")
		}
		*f = append(*f, dir)
	}
	return nil
}
