package metrics

import "strconv"

// Operation is what the server API is asked for.
type Operation string

// Operations.
const (
	OperationPublish    Operation = "publish"
	OperationAnnotate   Operation = "annotate"
	OperationBatch      Operation = "batch"
	OperationHistory    Operation = "history"
	OperationRooms      Operation = "rooms"
	OperationMembers    Operation = "members"
	OperationSessions   Operation = "sessions"
	OperationEmit       Operation = "emit"
	OperationJoin       Operation = "join"
	OperationLeave      Operation = "leave"
	OperationDisconnect Operation = "disconnect"
	OperationRevoke     Operation = "revoke"
	OperationMute       Operation = "mute"
	OperationDead       Operation = "dead"
	OperationResend     Operation = "resend"
	OperationDocument   Operation = "document" // what describes the API
	OperationNone       Operation = "none"     // nothing that there is, or by nobody who may ask
)

func (Operation) values() []Operation {
	return []Operation{OperationPublish, OperationAnnotate, OperationBatch, OperationHistory, OperationRooms, OperationMembers, OperationSessions,
		OperationEmit, OperationJoin, OperationLeave, OperationDisconnect, OperationRevoke, OperationMute, OperationDead, OperationResend, OperationDocument,
		OperationNone}
}

// Class is that of an HTTP status.
type Class string

// ClassOf returns the class of a status, such as 2xx.
func ClassOf(status int) Class { return Class(strconv.Itoa(status/100) + "xx") }

func (Class) values() []Class { return []Class{"2xx", "4xx", "5xx"} }
