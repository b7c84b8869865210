package browser

import (
	"context"
	"encoding/json"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Node is what a screen reader is told of a part of the page: role and name as ARIA computes them.
type Node struct {
	Role, Name string
	Level      int // of a heading
	Focusable  bool
	Parent     int // in the list of all, -1 of the root
}

// Tree returns the page's accessibility tree, without what is ignored, parents before children.
func (tab *Tab) Tree() (nodes []Node) {
	tab.t.Helper()
	var all []*accessibility.Node
	tab.do("read the accessibility tree", func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
		result, err := chromedp.Call(ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		all = result.Nodes
		return none, err
	})
	byID := map[accessibility.NodeID]*accessibility.Node{}
	for _, n := range all {
		byID[n.NodeID] = n
	}
	seen := map[accessibility.NodeID]int{}
	var add func(n *accessibility.Node, parent int)
	add = func(n *accessibility.Node, parent int) {
		if _, twice := seen[n.NodeID]; twice {
			return
		}
		if !n.Ignored {
			nodes = append(nodes, node(n, parent))
			parent = len(nodes) - 1
		}
		seen[n.NodeID] = parent
		for _, id := range n.ChildIDs {
			if child := byID[id]; child != nil {
				add(child, parent)
			}
		}
	}
	for _, n := range all {
		if byID[n.ParentID] == nil {
			add(n, -1)
		}
	}
	return nodes
}

func node(n *accessibility.Node, parent int) Node {
	told := Node{Parent: parent}
	decode(n.Role, &told.Role)
	decode(n.Name, &told.Name)
	for _, p := range n.Properties {
		switch p.Name {
		case accessibility.PropertyNameLevel:
			decode(p.Value, &told.Level)
		case accessibility.PropertyNameFocusable:
			decode(p.Value, &told.Focusable)
		}
	}
	return told
}

// decode leaves out as it is if there is no such value.
func decode(v *accessibility.Value, out any) {
	if v != nil {
		_ = json.Unmarshal(v.Value, out)
	}
}

// ForceColors shows the page as a system does whose user chose the few colors that there are to be.
func (tab *Tab) ForceColors() {
	tab.t.Helper()
	tab.do("force colors", func(ctx context.Context, _ *chromedp.Target) (none chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "forced-colors", Value: "active"}, {Name: "prefers-color-scheme", Value: "dark"}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return none, err
	})
}
