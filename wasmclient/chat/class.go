package chat

// BlankMessage stands for a message of which nothing is seen.
const BlankMessage = "(blank message)"

// DeletedMessage stands for a message that its author has deleted.
const DeletedMessage = "Message deleted"

// Class returns the classes of a message's element. The relay writes the newest messages into the page
// itself, with the same ones.
func (r Row) Class() string {
	class := "message"
	if r.Mark {
		class += " marked"
	}
	if r.Aim {
		class += " aimed"
	}
	if r.Entry.Concerns {
		class += " concerns"
	}
	if r.Head {
		class += " head"
	}
	if r.Tail {
		class += " tail"
	}
	if kind := r.Entry.Body.Class(); kind != "" {
		class += " " + kind
	}
	if r.Entry.Body.Long() && !r.Entry.Unfolded {
		class += " folded"
	}
	return class
}
