package metrics

import "slices"

// Transport is the way by which a client is reached.
type Transport string

// Transports.
const (
	WebSocket Transport = "websocket"
	Polling   Transport = "polling"
)

func (Transport) values() []Transport { return []Transport{WebSocket, Polling} }

// IsTransport reports whether a text names a transport: what a client says may be anything.
func IsTransport(s string) bool { return slices.Contains(Transport("").values(), Transport(s)) }

// Limit is what somebody ran into who was refused something.
type Limit string

// Limits.
const (
	LimitOrigin      Limit = "origin"      // a page of another site
	LimitVersion     Limit = "version"     // of Engine.IO
	LimitNoUpgrade   Limit = "no_upgrade"  // a WebSocket without the headers: a proxy dropped them
	LimitPayload     Limit = "payload"     // MAX_PAYLOAD
	LimitConnections Limit = "connections" // MAX_CONNECTIONS
	LimitDraining    Limit = "draining"
	LimitSession     Limit = "session"     // not known here
	LimitRequest     Limit = "request"     // no client's
	LimitNamespace   Limit = "namespace"   // does not exist
	LimitConnect     Limit = "connect"     // a CONNECT that is not as it should be
	LimitComeBack    Limit = "come_back"   // a session that can't be recovered now
	LimitSignature   Limit = "signature"   // of another relay
	LimitUnreachable Limit = "unreachable" // the other relay
	LimitFiles       Limit = "files"       // open ones, most likely
	LimitPanic       Limit = "panic"
	LimitOther       Limit = "other"

	LimitUnauthorized Limit = "unauthorized" // no token, or one that does not hold
	LimitForbidden    Limit = "forbidden"    // a right is missing
	LimitRevoked      Limit = "revoked"

	// Rates and counts, by the settings that bound them.
	LimitRate               Limit = "rate"                // PUBLISH_RATE and the like: of one connection
	LimitBytes              Limit = "bytes"               // BYTES_RATE
	LimitUserRate           Limit = "user_rate"           // USER_PUBLISH_RATE and the like
	LimitUserConnections    Limit = "user_connections"    // MAX_USER_CONNECTIONS
	LimitAddressConnections Limit = "address_connections" // MAX_ADDRESS_CONNECTIONS
	LimitAddressHandshakes  Limit = "address_handshakes"  // HANDSHAKE_RATE
	LimitHandshakes         Limit = "handshakes"          // HANDSHAKES_RATE
	LimitUnconnected        Limit = "unconnected"         // MAX_UNCONNECTED
	LimitTurns              Limit = "turns"               // an address wants more than its part of the processor
	LimitExcess             Limit = "excess"              // going on with what was refused
	LimitRateLimited        Limit = "rate_limited"        // what clients are told of all of these
	LimitFull               Limit = "full"                // MAX_MEMBERS
)

func (Limit) values() []Limit {
	return []Limit{LimitOrigin, LimitVersion, LimitNoUpgrade, LimitPayload, LimitConnections, LimitDraining, LimitSession,
		LimitRequest, LimitNamespace, LimitConnect, LimitComeBack, LimitSignature, LimitUnreachable, LimitFiles, LimitPanic,
		LimitUnauthorized, LimitForbidden, LimitRevoked, LimitRate, LimitBytes, LimitUserRate, LimitUserConnections,
		LimitAddressConnections, LimitAddressHandshakes, LimitHandshakes, LimitUnconnected, LimitTurns, LimitExcess, LimitRateLimited,
		LimitFull}
}

// Handshake is what came of a request for a new session: HandshakeOK, or the limit that it ran into.
type Handshake string

// HandshakeOK is a handshake that opened a session.
const HandshakeOK Handshake = "ok"

func (Handshake) values() []Handshake {
	return []Handshake{HandshakeOK, Handshake(LimitOrigin), Handshake(LimitVersion), Handshake(LimitNoUpgrade),
		Handshake(LimitConnections), Handshake(LimitDraining), Handshake(LimitRequest), Handshake(LimitAddressConnections),
		Handshake(LimitAddressHandshakes), Handshake(LimitHandshakes), Handshake(LimitUnconnected)}
}

// Upgrade is what came of a WebSocket that was opened for a session that polls.
type Upgrade string

// Upgrades.
const (
	Upgraded       Upgrade = "ok"
	UpgradeFailed  Upgrade = "failed"  // the session stays with polling
	UpgradeRefused Upgrade = "refused" // it is there already, or another is under way
)

func (Upgrade) values() []Upgrade { return []Upgrade{Upgraded, UpgradeFailed, UpgradeRefused} }

// Close is why a session ended.
type Close string

// Closes.
const (
	CloseClient         Close = "client"          // it said so
	CloseTransport      Close = "transport_error" // its connection broke, or a request was dropped
	ClosePingTimeout    Close = "ping_timeout"
	CloseConnectTimeout Close = "connect_timeout"
	CloseSlow           Close = "slow" // its outbox was full
	CloseProtocol       Close = "protocol_error"
	CloseTooLarge       Close = "too_large"
	CloseDrain          Close = "drain"
	CloseReplaced       Close = "replaced" // another connection has resumed its session
	CloseComeBack       Close = "come_back"
	CloseExpired        Close = "expired" // its token, and no other came
	CloseRevoked        Close = "revoked"
	CloseRateLimited    Close = "rate_limited" // it went on with what was refused
	CloseServer         Close = "server"       // sent away for something else
)

func (Close) values() []Close {
	return []Close{CloseClient, CloseTransport, ClosePingTimeout, CloseConnectTimeout, CloseSlow, CloseProtocol, CloseTooLarge,
		CloseDrain, CloseReplaced, CloseComeBack, CloseExpired, CloseRevoked, CloseRateLimited, CloseServer}
}

// Connect is what came of a CONNECT.
type Connect string

// Connects.
const (
	ConnectNew       Connect = "new"
	ConnectRecovered Connect = "recovered"
	ConnectRefused   Connect = "refused"
	ConnectComeBack  Connect = "come_back" // it can't be known now whether it can be recovered
)

func (Connect) values() []Connect {
	return []Connect{ConnectNew, ConnectRecovered, ConnectRefused, ConnectComeBack}
}

// By is what a client showed, to go on from.
type By string

// What clients show.
const (
	ByPID   By = "pid"   // of its session
	BySince By = "since" // of a join: the offset of what it has of the room
)

func (By) values() []By { return []By{ByPID, BySince} }

// Outcome is what came of an attempt to go on without a gap.
type Outcome string

// Outcomes.
const (
	Recovered           Outcome = "recovered"
	RecoveryGone        Outcome = "gone"        // something may be missing
	RecoveryUnavailable Outcome = "unavailable" // it can't be known now
)

func (Outcome) values() []Outcome { return []Outcome{Recovered, RecoveryGone, RecoveryUnavailable} }

// OutcomeOf returns the outcome of an attempt that failed with err, or else recovered all or not.
func OutcomeOf(recovered bool, err error) Outcome {
	switch {
	case err != nil:
		return RecoveryUnavailable
	case recovered:
		return Recovered
	}
	return RecoveryGone
}

// Publish is what came of a publish.
type Publish string

// Publishes.
const (
	PublishStored      Publish = "stored"
	PublishDuplicate   Publish = "duplicate"
	PublishRefused     Publish = "refused" // the request, for what it says
	PublishRateLimited Publish = "rate_limited"
	PublishUnavailable Publish = "unavailable" // the store did not answer, or take it
)

func (Publish) values() []Publish {
	return []Publish{PublishStored, PublishDuplicate, PublishRefused, PublishRateLimited, PublishUnavailable}
}

// Reset is why members were told of a gap: a reason of the broker's.
type Reset string

func (Reset) values() []Reset { return []Reset{"epoch", "trimmed", "expired"} }

// Call is a script, in lower case, or a command of Redis', in capitals.
type Call string

// The package that calls knows which there are.
func (Call) values() []Call { return nil }

// CatchUp is why the streams are read.
type CatchUp string

// Causes of a catch-up.
const (
	CatchUpConnection CatchUp = "connection" // it is new
	CatchUpGap        CatchUp = "gap"        // something is missing, or the store may have lost something
)

func (CatchUp) values() []CatchUp { return []CatchUp{CatchUpConnection, CatchUpGap} }

// Mode is how a request is brought to another relay.
type Mode string

// Modes.
const (
	ModeProxy  Mode = "proxy"
	ModeReplay Mode = "fly-replay"
)

func (Mode) values() []Mode { return []Mode{ModeProxy, ModeReplay} }

// Forward is what came of bringing a request to another relay.
type Forward string

// Forwards. Of a replay nobody hears any more here.
const (
	ForwardOK          Forward = "ok"
	ForwardUnreachable Forward = "unreachable"
	ForwardRefused     Forward = "refused" // it takes no new clients, either
	ForwardFailed      Forward = "failed"
)

func (Forward) values() []Forward {
	return []Forward{ForwardOK, ForwardUnreachable, ForwardRefused, ForwardFailed}
}

// Hook is what the app is asked, or told.
type Hook string

// Hooks.
const (
	HookConnect Hook = "connect"
	HookEvent   Hook = "event"
	HookJoin    Hook = "join"
	HookPublish Hook = "publish"

	HookPresence Hook = "presence" // told, not asked
)

func (Hook) values() []Hook {
	return []Hook{HookConnect, HookEvent, HookJoin, HookPublish, HookPresence}
}

// Notice is what came of a try to tell the app of presence.
type Notice string

// Notices.
const (
	NoticeTold    Notice = "told"
	NoticeRetried Notice = "retried" // it is told again
	NoticeDead    Notice = "dead"    // the app did not take it in time
)

func (Notice) values() []Notice { return []Notice{NoticeTold, NoticeRetried, NoticeDead} }

// HookOutcome is what came of a request to the app.
type HookOutcome string

// Outcomes of requests to the app.
const (
	HookOK      HookOutcome = "ok"
	HookRefused HookOutcome = "refused"   // the app does not allow it
	HookStatus  HookOutcome = "status"    // an answer that says that it failed, by a status of neither
	HookBad     HookOutcome = "malformed" // an answer that is not as it should be, or too large
	HookTimeout HookOutcome = "timeout"
	HookFailed  HookOutcome = "failed" // no connection, or one that broke
	HookBusy    HookOutcome = "busy"   // no turn: HOOK_CONCURRENCY, HOOK_QUEUE
	HookOpen    HookOutcome = "open"   // the circuit breaker was: the app was not asked
)

func (HookOutcome) values() []HookOutcome {
	return []HookOutcome{HookOK, HookRefused, HookStatus, HookBad, HookTimeout, HookFailed, HookBusy, HookOpen}
}

// HookLane is one of those who send to the app, each with a circuit breaker of its own.
type HookLane string

// Lanes.
const (
	HookAsked HookLane = "asked" // somebody waits for the answer
	HookTold  HookLane = "told"  // sent until it is taken
)

func (HookLane) values() []HookLane { return []HookLane{HookAsked, HookTold} }
