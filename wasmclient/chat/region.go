package chat

import "strings"

// region is a place where relays run: its city, and where that is, as a point on a globe with a radius of
// 1,000: x to where the equator meets the prime meridian, y to 90° east, z to the north pole. Of points no sine
// need be taken, which would add to the browser's program.
type region struct {
	city    string
	x, y, z int
}

// regions are Fly.io's, by their codes.
var regions = map[string]region{
	"ams": {"Amsterdam", 608, 52, 792}, "arn": {"Stockholm", 485, 159, 860}, "atl": {"Atlanta", 81, -828, 555}, "bog": {"Bogotá", 273, -959, 82},
	"bom": {"Mumbai", 278, 903, 327}, "bos": {"Boston", 239, -699, 674}, "cdg": {"Paris", 657, 28, 754}, "den": {"Denver", -199, -743, 639},
	"dfw": {"Dallas", -100, -835, 542}, "ewr": {"Secaucus", 207, -728, 653}, "eze": {"Buenos Aires", 431, -701, -568}, "fra": {"Frankfurt", 634, 97, 767},
	"gdl": {"Guadalajara", -215, -910, 353}, "gig": {"Rio de Janeiro", 672, -631, -389}, "gru": {"São Paulo", 630, -666, -399}, "hkg": {"Hong Kong", -379, 844, 379},
	"iad": {"Virginia", 168, -759, 629}, "jnb": {"Johannesburg", 792, 421, -442}, "lax": {"Los Angeles", -391, -730, 561}, "lhr": {"London", 623, -1, 783},
	"mad": {"Madrid", 760, -49, 648}, "mia": {"Miami", 153, -887, 435}, "nrt": {"Tokyo", -619, 525, 584}, "ord": {"Chicago", 31, -744, 668},
	"otp": {"Bucharest", 642, 314, 700}, "phx": {"Phoenix", -314, -774, 550}, "qro": {"Querétaro", -169, -921, 352}, "scl": {"Santiago", 276, -788, -550},
	"sea": {"Seattle", -360, -570, 738}, "sin": {"Singapore", -238, 971, 23}, "sjc": {"San Jose", -420, -675, 606}, "syd": {"Sydney", -727, 400, -558},
	"waw": {"Warsaw", 572, 220, 790}, "yul": {"Montreal", 198, -672, 713}, "yyz": {"Toronto", 133, -711, 691},
}

// City returns a region's name as people know it; of one that is not known, the code as it is.
func City(code string) string {
	if r, known := regions[code]; known || code == "" {
		return r.city
	}
	return Shown(code)
}

// IsOtherSide reports whether two regions are known, and on two sides of the world: more than a quarter of the
// way round apart, which is 10,000 km.
func IsOtherSide(a, b string) bool { return farness(a, b) > 0 }

// farness orders regions by how far they are from another one: it is above 0 on the other side of the world. If
// either is not known, it is the least.
func farness(a, b string) int {
	from, known1 := regions[a]
	to, known2 := regions[b]
	if !known1 || !known2 {
		return -2_000_000
	}
	return -(from.x*to.x + from.y*to.y + from.z*to.z)
}

// Place is a relay, and the region that it is in.
type Place struct{ Region, Relay string }

// At returns places, the latest last, as User.At has them: one string, since users are copied a lot.
func At(places ...Place) (at string) {
	for _, p := range places {
		if p != (Place{}) {
			at += "\n" + p.Region + "\t" + p.Relay // in which there are no control characters
		}
	}
	return at
}

func contains(list []string, s string) bool {
	for _, other := range list {
		if other == s {
			return true
		}
	}
	return false
}

// regions returns the codes of where a user is, each once.
func (u User) regions() (codes []string) {
	for line := range strings.SplitSeq(u.At, "\n") {
		if code, _, _ := strings.Cut(line, "\t"); code != "" && !contains(codes, code) {
			codes = append(codes, code)
		}
	}
	return codes
}

// Where returns the cities where a user is, or "".
func (u User) Where() string { return cities(u.regions()) }

// IsBeyond reports whether a user is somewhere, and nowhere but on the other side of the world.
func (u User) IsBeyond(here string) bool {
	codes := u.regions()
	for _, code := range codes {
		if !IsOtherSide(code, here) {
			return false
		}
	}
	return len(codes) > 0
}

// PlaceTitle returns what is told of a user's place beside the name: "Ben · Tokyo, relay 4d89".
func (u User) PlaceTitle() string {
	text := u.Name
	if where := u.Where(); where != "" {
		text += " · " + where
	}
	if relay := u.At[strings.LastIndexByte(u.At, '\t')+1:]; relay != "" {
		text += ", relay " + Shown(relay)
	}
	return text
}

// placedAs returns u at the place of another one, if that is known.
func (u User) placedAs(other User) User {
	if other.At != "" {
		u.At = other.At
	}
	return u
}

func cities(codes []string) string {
	names := make([]string, len(codes))
	for i, code := range codes {
		names[i] = City(code)
	}
	return strings.Join(names, ", ")
}

// RegionAt returns the region that an address' query asks to come in by, or "".
func RegionAt(query string) string {
	for pair := range strings.SplitSeq(strings.TrimPrefix(query, "?"), "&") {
		if value, ok := strings.CutPrefix(pair, "region="); ok {
			code := unescape(value)
			if len(code) <= maxRegion {
				return strings.TrimSpace(code)
			}
		}
	}
	return ""
}

// maxRegion is the greatest length of a region's code, in bytes.
const maxRegion = 128

// WithRegion returns an address of the page by which one comes in by a region; "": by any.
func WithRegion(address, code string) string {
	if code == "" {
		return address
	}
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + "region=" + escape(code)
}
