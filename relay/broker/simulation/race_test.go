//go:build race

package simulation

func init() { tries = 1 }
