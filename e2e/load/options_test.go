//go:build linux

package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

// What a flag does not take is refused by its name, with what it got and what it takes.
func TestFlags(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"-reps 0", "-reps got 0; it takes 1 to 100"},
		{"-seconds 0", "-seconds got 0; it takes 0.1 to 600"},
		{"-scale -1", "-scale got -1; it takes a share, over 0 up to 10"},
		{"-payload 15", "-payload got 15; it takes 16 to 900000 bytes"},
		{"-relays 17", "-relays got 17; it takes 1 to 16"},
		{"-plans small,none", `-plans got "none"; it takes some of small,medium,large,saturated,idle,return,jitter`},
		{"-plot a -plans small", `-plans got "small"; it takes some of members,rooms,connections,payload,relays`},
		{"-pids 1", "-pids got 1; it takes nothing without -urls"},
		{"-redis-pid 1", "-redis-pid got 1; it takes nothing without -urls"},
		{"-urls 127.0.0.1:80", `-urls got "127.0.0.1:80"; it takes http:// URLs with an IPv4 host and a port`},
		{"-urls https://127.0.0.1:80", `-urls got "https://127.0.0.1:80"; it takes http:// URLs with an IPv4 host and a port`},
		{"-urls http://127.0.0.1:80 -pids a", `-pids got "a"; it takes process ids, comma-separated`},
		{"-urls http://127.0.0.1:80 -pids 4194304", "-pids and -redis-pid take processes that run"},
		{"-urls http://127.0.0.1:80 -relay a", "-relay got a; it takes nothing with -urls"},
		{"-relay /nowhere", "-relay got /nowhere; it takes a program"},
		{"-plot a -profile b", "-profile got b; it takes nothing with -plot"},
		{"-profile b -memory", "-profile got b; it takes neither -memory nor -urls"},
		{"-reps 0 -relays 0", "-relays got 0; it takes 1 to 16"},
		{"small", `"small": load takes flags only; -h lists them`},
		{"-reps many", "-reps"},
	} {
		_, err := parse(strings.Fields(test.args), io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.args, err, test.want)
		}
	}
}

func TestDefaults(t *testing.T) {
	o, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.plans) != 7 || o.window != 6*time.Second || o.reps != 1 || o.payload != 128 {
		t.Errorf("%+v", o)
	}
	for _, p := range o.plans {
		if p.clients%p.members != 0 || p.publishers > p.members {
			t.Errorf("%+v", p)
		}
	}
	if o, err = parse([]string{"-urls", "http://127.0.0.1:80,http://localhost:81", "-plans", "large, small"}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if got := o.given.Addresses; len(got) != 2 || got[1].String() != "127.0.0.1:81" || o.relays != 2 {
		t.Error(got)
	}
	if o.plans[0].name != "large" || o.plans[1].name != "small" {
		t.Errorf("%+v", o.plans)
	}
	var help strings.Builder
	if _, err := parse([]string{"-h"}, &help); err == nil || !strings.Contains(help.String(), "jitter") || !strings.Contains(help.String(), "-payload") {
		t.Errorf("%v: %s", err, &help)
	}
}

// Plans stay whole at every scale.
func TestScale(t *testing.T) {
	for _, scale := range []float64{.0001, .01, .3, 1, 1.7} {
		o := &options{scale: scale}
		all := plans(o)
		for _, s := range sweeps(o) {
			for _, p := range s.points {
				all = append(all, p.plan)
			}
		}
		for _, p := range all {
			rooms := max(p.rooms, p.clients/p.members)
			if p.clients == 0 || p.clients%p.members != 0 || rooms%(p.clients/p.members) != 0 || p.publishers > p.members {
				t.Errorf("%v: %+v", scale, p)
			}
		}
	}
}
