package browser

import (
	"context"
	"strings"
	"unicode"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// Click clicks the first visible element that selector finds; on a phone it
// taps it.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	if tab.viewport.Mobile {
		tab.do("tap "+selector, chromedp.Tap(chromedp.CSS(selector)))
		return
	}
	tab.do("click "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Type focuses an element and types text into it, key by key.
func (tab *Tab) Type(selector, text string) {
	tab.t.Helper()
	tab.do("focus "+selector, chromedp.Focus(chromedp.CSS(selector), chromedp.NodeVisible))
	for _, character := range text {
		tab.do("type "+string(character), typeRune(character))
	}
}

// Insert focuses an element and inserts text all at once, as a paste or an
// input method does.
func (tab *Tab) Insert(selector, text string) {
	tab.t.Helper()
	tab.do("focus "+selector, chromedp.Focus(chromedp.CSS(selector), chromedp.NodeVisible))
	tab.do("insert text", insert(text))
}

// Press presses one key where the focus is, by its name in KeyboardEvent.key,
// with modifiers before it: "Enter", "Shift+Enter", "ArrowUp", "/".
func (tab *Tab) Press(keys string) {
	tab.t.Helper()
	tab.do("press "+keys, press(parseKeys(keys)))
}

// key is one press. The text is what the key puts into a field.
type key struct {
	name, text string
	code       int64 // Windows virtual key code, from which pages read keyCode
	modifiers  int64
}

// named are the keys that are not characters.
var named = map[string]key{
	"Enter":      {text: "\r", code: 13},
	"Tab":        {code: 9},
	"Escape":     {code: 27},
	"Backspace":  {code: 8},
	"Delete":     {code: 46},
	"ArrowUp":    {code: 38},
	"ArrowDown":  {code: 40},
	"ArrowLeft":  {code: 37},
	"ArrowRight": {code: 39},
	"PageUp":     {code: 33},
	"PageDown":   {code: 34},
	"Home":       {code: 36},
	"End":        {code: 35},
}

var modifiers = map[string]chromedp.Modifier{
	"Alt": chromedp.ModifierAlt, "Control": chromedp.ModifierCtrl, "Meta": chromedp.ModifierMeta, "Shift": chromedp.ModifierShift,
}

func parseKeys(keys string) key {
	parts := strings.Split(keys, "+")
	if strings.HasSuffix(keys, "++") || keys == "+" {
		parts = append(parts[:len(parts)-2], "+")
	}
	name := parts[len(parts)-1]
	pressed, special := named[name]
	if !special {
		pressed = key{text: name, code: virtualKey(name)}
	}
	pressed.name = name
	for _, part := range parts[:len(parts)-1] {
		pressed.modifiers |= int64(modifiers[part])
	}
	// With these a key is a command and writes nothing.
	if pressed.modifiers&^int64(chromedp.ModifierShift) != 0 {
		pressed.text = ""
	}
	return pressed
}

// virtualKey of letters and digits is their capital's code; others have none
// that does not depend on the layout.
func virtualKey(character string) int64 {
	r := []rune(strings.ToUpper(character))
	if len(r) == 1 && r[0] < unicode.MaxASCII && (unicode.IsLetter(r[0]) || unicode.IsDigit(r[0])) {
		return int64(r[0])
	}
	return 0
}

// press sends what a keyboard sends. The text goes along with the key going
// down, so that a page that prevents the key's default prevents the text too
// (chromedp.SendKeys sends it apart).
func press(k key) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
		down := input.DispatchKeyEventParams{
			Type: input.DispatchKeyEventTypeRawKeyDown, Key: k.name, Modifiers: k.modifiers,
			WindowsVirtualKeyCode: k.code, NativeVirtualKeyCode: k.code,
		}
		if _, special := named[k.name]; special {
			down.Code = k.name
		}
		up := down
		up.Type = input.DispatchKeyEventTypeKeyUp
		if k.text != "" {
			down.Type, down.Text = input.DispatchKeyEventTypeKeyDown, k.text
		}
		if _, err = chromedp.Call(ctx, input.DispatchKeyEvent, down); err != nil {
			return none, err
		}
		_, err = chromedp.Call(ctx, input.DispatchKeyEvent, up)
		return none, err
	}
}

func typeRune(character rune) chromedp.Action[chromedp.Void] {
	switch {
	case character == '\n':
		return press(parseKeys("Enter"))
	case character < unicode.MaxASCII && unicode.IsPrint(character):
		text := string(character)
		return press(key{name: text, text: text, code: virtualKey(text)})
	default:
		return insert(string(character))
	}
}

func insert(text string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text})
		return none, err
	}
}
