package events

import (
	"strconv"
	"strings"
)

// maxDigits keeps an integer within 64 bits.
const maxDigits = 18

// integer reads a JSON number in whatever spelling, 50, 50.0 or 5e1. ok reports whether it is exactly
// an integer of at most maxDigits digits.
func integer(number string) (n int, ok bool) {
	digits, negative := strings.CutPrefix(number, "-")
	exponent := 0
	if i := strings.IndexAny(digits, "eE"); i >= 0 {
		exponent, _ = strconv.Atoi(digits[i+1:]) // past its range it is the nearest int
		digits = digits[:i]
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return 0, true
	}
	significant := strings.TrimRight(digits, "0")
	// No number that fits into a packet takes an exponent of more than a billion to be small.
	const billion = 1_000_000_000
	zeros := max(-billion, min(exponent, billion)) - len(fraction) + len(digits) - len(significant)
	if zeros < 0 || len(significant)+zeros > maxDigits {
		return 0, false
	}
	n, err := strconv.Atoi(significant + strings.Repeat("0", zeros))
	if negative {
		n = -n
	}
	return n, err == nil
}
