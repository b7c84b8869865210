package limit

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Users are limits by user, over all relays.
//
// Each relay has buckets of its own, and asks nobody: what a user does is decided here. Once an
// interval relays tell one another who has used much (Report), and take what others tell from their
// own buckets (Apply). With k relays a user who is on all of them can have:
//
//   - at once, k bursts and k times what two intervals bring, before anybody has heard of it. All of it
//     is owed then, on every relay, up to maxDebt of time;
//   - lasting, what the limit says, and a reportShare of it for each relay but one, which is too little
//     to be told: with 3 relays 1.2 times the limit;
//   - connections: k times the bound if they open all of them within an interval, and lasting a
//     reportShare more for each relay but one.
type Users struct {
	// immutable
	rates [userKinds]Rate
	most  int // connections of one user; 0: no bound
	self  string

	mu     sync.Mutex // guards what follows
	users  map[string]*User
	active []*User            // that have used something since the last report
	many   map[*User]bool     // that have so many connections here that others are told
	left   []*User            // that have no connection here; their buckets may not be full
	others map[string][]there // connections of users on other relays
}

// User is one user's limits on this relay, for all of their connections.
type User struct {
	// immutable
	users *Users
	id    string

	sessions []string // of each connection; guarded by users.mu
	isLeft   bool     // in users.left; guarded by users.mu

	mu      sync.Mutex // guards what follows
	buckets [userKinds]*rate.Limiter
	used    [userKinds]int // since the last report
	active  bool           // in users.active
}

// there is how many connections a user has on another relay.
type there struct {
	relay string
	count int
	until time.Time
}

const (
	// ReportInterval is how often relays tell one another.
	ReportInterval = time.Second
	reportShare    = 10               // what is told is at least 1/10 of a limit
	reportMost     = 1000             // users of one report; of more, those who used most
	reportHolds    = 3 * time.Second  // how long connections count that were told
	maxDebt        = 30 * time.Second // for which a user may be told to wait for what others have told
	maxLeft        = 1 << 16          // users without a connection that are remembered; then the first to leave are not
	maxOthers      = 1 << 16          // users with connections elsewhere that are remembered; then no others are
)

// NewUsers returns limits by user. self names this relay to others; most bounds the connections of one
// user, unless it is zero.
func NewUsers(self string, rates Rates, most int) *Users {
	return &Users{rates: [userKinds]Rate(rates[:userKinds]), most: most, self: self,
		users: map[string]*User{}, many: map[*User]bool{}, others: map[string][]there{}}
}

// Enter counts one more connection of a user, which goes on with a session. It returns nil if they have
// too many of other sessions: a former connection of this one is about to leave.
func (us *Users) Enter(id, session string) *User {
	now := time.Now()
	us.mu.Lock()
	defer us.mu.Unlock()
	u := us.users[id]
	if u == nil {
		u = &User{users: us, id: id}
	}
	if us.most > 0 && u.without(session)+us.elsewhere(id, now) >= us.most {
		return nil
	}
	us.users[id] = u
	u.sessions = append(u.sessions, session)
	us.noteMany(u)
	return u
}

// without is how many connections a user has here that are not of a session. users.mu is held.
func (u *User) without(session string) (n int) {
	for _, s := range u.sessions {
		if s != session {
			n++
		}
	}
	return n
}

// Leave counts one connection less.
func (u *User) Leave(session string) {
	us := u.users
	us.mu.Lock()
	defer us.mu.Unlock()
	if i := slices.Index(u.sessions, session); i >= 0 {
		u.sessions = slices.Delete(u.sessions, i, i+1)
	}
	us.noteMany(u)
	if len(u.sessions) > 0 || u.isLeft {
		return
	}
	u.isLeft = true
	us.left = append(us.left, u)
	if len(us.left) > maxLeft {
		us.forget(us.left[0])
		us.left[0] = nil
		us.left = us.left[1:]
	}
}

// Doubt is for how long connections of a user may count that are gone, or are about to go within an
// interval: those of which other relays have told. It is 0 if they have told of none.
func (us *Users) Doubt(id string) time.Duration {
	us.mu.Lock()
	defer us.mu.Unlock()
	if us.elsewhere(id, time.Now()) > 0 {
		return reportHolds + ReportInterval
	}
	return 0
}

// noteMany notes whether others are to be told of a user's connections. us.mu is held.
func (us *Users) noteMany(u *User) {
	if us.most > 0 && len(u.sessions)*reportShare >= us.most {
		us.many[u] = true
	} else {
		delete(us.many, u)
	}
}

// forget lets go of a user who has no connection here. us.mu is held.
func (us *Users) forget(u *User) {
	u.isLeft = false
	if len(u.sessions) == 0 && us.users[u.id] == u {
		delete(us.users, u.id)
	}
}

// elsewhere is how many connections a user has on other relays, as far as was told. us.mu is held.
func (us *Users) elsewhere(id string, now time.Time) (n int) {
	for _, t := range us.others[id] {
		if now.Before(t.until) {
			n += t.count
		}
	}
	return n
}

// Take takes one token of a kind, or returns how long it is until there is one.
func (u *User) Take(k Kind) (wait time.Duration) {
	if k >= userKinds || u.users.rates[k].IsOff() {
		return 0
	}
	now := time.Now()
	u.mu.Lock()
	if wait = take(u.bucket(k), now, 1); wait > 0 {
		u.mu.Unlock()
		return wait
	}
	u.used[k]++
	first := !u.active
	u.active = true
	u.mu.Unlock()
	if first {
		u.users.noteActive(u)
	}
	return 0
}

func (us *Users) noteActive(u *User) {
	us.mu.Lock()
	defer us.mu.Unlock()
	us.active = append(us.active, u)
}

// bucket returns the bucket of a kind. u.mu is held.
func (u *User) bucket(k Kind) *rate.Limiter {
	if u.buckets[k] == nil {
		u.buckets[k] = u.users.rates[k].bucket()
	}
	return u.buckets[k]
}

// isIdle reports whether all buckets are as new. u.mu is not held.
func (u *User) isIdle(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.active && !slices.ContainsFunc(u.buckets[:], func(b *rate.Limiter) bool { return !isFull(b, now) })
}

// use is what a report tells of a user: how much of each kind, and how many connections.
type use struct {
	ID          string         `json:"id"`
	Used        [userKinds]int `json:"used"`
	Connections int            `json:"connections,omitempty"`
}

type report struct {
	From string `json:"from"`
	Uses []use  `json:"uses"`
}

// Report returns what others are to be told of the time since the last one, or nil if that is nothing.
// It is to be called once every ReportInterval.
func (us *Users) Report() []byte {
	now := time.Now()
	us.mu.Lock()
	active := us.active
	us.active = nil
	told := map[*User]use{}
	for u := range us.many {
		told[u] = use{ID: u.id, Connections: len(u.sessions)}
	}
	us.left = slices.DeleteFunc(us.left, func(u *User) bool {
		gone := len(u.sessions) > 0 || u.isIdle(now)
		if gone {
			us.forget(u)
		}
		return gone
	})
	us.others = us.freshOthers(now)
	us.mu.Unlock()
	for _, u := range active {
		if used, much := u.takeUse(now); much {
			t := told[u]
			t.ID, t.Used = u.id, used
			told[u] = t
		}
	}
	if len(told) == 0 {
		return nil
	}
	uses := make([]use, 0, len(told))
	for _, t := range told {
		uses = append(uses, t)
	}
	if len(uses) > reportMost {
		slices.SortFunc(uses, func(a, b use) int { return b.weight(us) - a.weight(us) })
		uses = uses[:reportMost]
	}
	body, _ := json.Marshal(report{us.self, uses}) // strings and numbers
	return body
}

// weight is how much of a limit was used, in thousandths.
func (t use) weight(us *Users) (w int) {
	for k, n := range t.Used {
		if r := us.rates[k]; !r.IsOff() {
			w = max(w, int(1000*float64(n)/r.PerSecond()))
		}
	}
	if us.most > 0 {
		w = max(w, 1000*t.Connections/us.most)
	}
	return w
}

// freshOthers returns the connections elsewhere that still count. us.mu is held.
func (us *Users) freshOthers(now time.Time) map[string][]there {
	for id, list := range us.others {
		list = slices.DeleteFunc(list, func(t there) bool { return !now.Before(t.until) })
		if us.others[id] = list; len(list) == 0 {
			delete(us.others, id)
		}
	}
	return us.others
}

// takeUse returns what a user has used since the last report, and whether it is worth telling. Buckets that are
// full again are as good as none.
func (u *User) takeUse(now time.Time) (used [userKinds]int, much bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	forgetFull(u.buckets[:], now)
	used, u.used, u.active = u.used, [userKinds]int{}, false
	for k, n := range used {
		much = much || n > 0 && float64(n)*reportShare >= u.users.rates[k].PerSecond()*ReportInterval.Seconds()
	}
	return used, much
}

// Apply takes what another relay has told. What no relay has written is passed over.
func (us *Users) Apply(body []byte) {
	var r report
	if json.Unmarshal(body, &r) != nil || r.From == us.self {
		return
	}
	now := time.Now()
	for _, t := range r.Uses {
		us.mu.Lock()
		u := us.users[t.ID]
		us.noteOther(r.From, t, now)
		us.mu.Unlock()
		if u != nil {
			u.debit(t.Used, now)
		}
	}
}

// noteOther notes a user's connections on another relay. us.mu is held.
func (us *Users) noteOther(relay string, t use, now time.Time) {
	list := us.others[t.ID]
	if t.Connections <= 0 || us.most == 0 || list == nil && len(us.others) >= maxOthers {
		return
	}
	is := there{relay, t.Connections, now.Add(reportHolds)}
	if i := slices.IndexFunc(list, func(o there) bool { return o.relay == relay }); i >= 0 {
		list[i] = is
		return
	}
	us.others[t.ID] = append(list, is)
}

func (u *User) debit(used [userKinds]int, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, n := range used {
		r := u.users.rates[k]
		if n <= 0 || r.IsOff() {
			continue
		}
		debit(u.bucket(Kind(k)), now, n, max(r.Burst, int(r.PerSecond()*maxDebt.Seconds())))
	}
}
