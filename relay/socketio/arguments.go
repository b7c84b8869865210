package socketio

import "encoding/json"

// Arguments splits the payload of an event: its name (a number as its text) and the arguments after
// it, whose bytes are untouched and alias data. It takes at most MaxItems items. Data is what Parse
// took: of other data the outcome is an error or pieces that are not JSON, but never a panic.
func Arguments(data []byte) (name string, args []json.RawMessage, err error) {
	items, err := Items(data)
	if err != nil {
		return "", nil, err
	}
	if len(items) == 0 {
		return "", nil, ErrPayload
	}
	name, err = eventName(items[0])
	return name, items[1:], err
}

// Items splits a JSON array, such as the payload of an ack, with the same bounds and conditions as
// Arguments.
func Items(data []byte) ([]json.RawMessage, error) {
	i := skipSpace(data, 0)
	if i == len(data) || data[i] != '[' {
		return nil, ErrPayload
	}
	i = skipSpace(data, i+1)
	if i < len(data) && data[i] == ']' {
		return nil, endsAt(data, i+1)
	}
	items := make([]json.RawMessage, 0, 3) // a name, an object, an offset
	for {
		end := skipValue(data, i)
		if end == i {
			return nil, ErrJSON
		}
		if len(items) == MaxItems {
			return nil, ErrItems
		}
		items = append(items, data[i:end:end])
		i = skipSpace(data, end)
		if i == len(data) {
			return nil, ErrJSON
		}
		switch data[i] {
		case ']':
			return items, endsAt(data, i+1)
		case ',':
			i = skipSpace(data, i+1)
		default:
			return nil, ErrJSON
		}
	}
}

func endsAt(data []byte, i int) error {
	if skipSpace(data, i) < len(data) {
		return ErrJSON
	}
	return nil
}

func eventName(item []byte) (string, error) {
	switch c := item[0]; {
	case c == '-' || '0' <= c && c <= '9':
		return string(item), nil
	case c != '"':
		return "", ErrName
	}
	for _, c := range item {
		if c == '\\' {
			var s string
			if json.Unmarshal(item, &s) != nil {
				return "", ErrJSON
			}
			return s, nil
		}
	}
	if len(item) < 2 || item[len(item)-1] != '"' {
		return "", ErrJSON
	}
	return string(item[1 : len(item)-1]), nil
}
