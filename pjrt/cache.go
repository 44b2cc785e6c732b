package pjrt

type cache struct{}
