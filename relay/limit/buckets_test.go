package limit

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func perSecond(n, burst int) Rate { return Rate{n, time.Second, burst} }

func TestBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bs := NewBuckets[string](perSecond(10, 2))
		for range 2 {
			if wait := bs.Take("a"); wait != 0 {
				t.Fatal("a waits for ", wait)
			}
		}
		if wait := bs.Take("a"); wait != 100*time.Millisecond {
			t.Fatal("a is to wait for ", wait)
		}
		if wait := bs.Take("b"); wait != 0 {
			t.Fatal("b waits for ", wait)
		}
		<-time.After(100 * time.Millisecond)
		if wait := bs.Take("a"); wait != 0 {
			t.Fatal("a waited, and waits for ", wait)
		}
		bs.Debit("a", 1000)
		if wait := bs.Take("a"); wait != 300*time.Millisecond {
			t.Fatal("a owes a bucketful, and is to wait for ", wait)
		}
	})
}

// A rate that is off limits nothing, and remembers nothing.
func TestBucketsOff(t *testing.T) {
	bs := NewBuckets[string](Rate{})
	bs.Debit("a", 100)
	for range 1000 {
		if bs.Take("a") != 0 {
			t.Fatal("limited")
		}
	}
	if len(bs.keys) > 0 {
		t.Fatal("it remembers")
	}
}

// A flood of keys is remembered up to a bound; past it newcomers share a bucket, until others are full
// again.
func TestBucketsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bs := NewBuckets[int](perSecond(1, 2))
		bs.most = 100
		for key := range 1000 {
			bs.Take(key)
			if len(bs.keys) > bs.most {
				t.Fatal(len(bs.keys), " keys")
			}
		}
		if bs.Take(5000) == 0 {
			t.Fatal("a newcomer past the bound has a bucket of its own")
		}
		if bs.Take(1) != 0 || bs.Take(1) == 0 {
			t.Fatal("who was known has lost its bucket")
		}
		<-time.After(5 * time.Second)
		if bs.Take(5001) != 0 || len(bs.keys) != 1 {
			t.Fatal("full buckets are remembered: ", len(bs.keys))
		}
	})
}

func TestCounts(t *testing.T) {
	cs := NewCounts[string](2, 3)
	for i := range 3 {
		if cs.Add("a") != (i < 2) {
			t.Fatal("not 2 of a")
		}
	}
	if !cs.Add("b") || cs.Add("b") || cs.Add("c") {
		t.Fatal("not 3 in all")
	}
	cs.Remove("a")
	if !cs.Add("c") {
		t.Fatal("there is room for c")
	}
	for _, key := range []string{"a", "b", "c"} {
		cs.Remove(key)
	}
	if len(cs.keys) != 0 || cs.total != 0 {
		t.Fatal("it remembers ", cs.keys, cs.total)
	}
	none := NewCounts[string](0, 0)
	for range 1000 {
		if !none.Add("a") {
			t.Fatal("zero is a bound")
		}
	}
}

func TestClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rates := Rates{Publish: perSecond(10, 5), Bytes: perSecond(1000, 2000)}
		c := NewClient(&rates, nil)
		for range 5 {
			if c.Take(Publish) != 0 {
				t.Fatal("limited")
			}
		}
		if wait := c.Take(Publish); wait != 100*time.Millisecond {
			t.Fatal("wait for ", wait)
		}
		if c.Take(Signal) != 0 {
			t.Fatal("what is off is limited")
		}
		if c.Debit(Bytes, 1999) || c.Wait(Bytes, 1000) != 0 {
			t.Fatal("less than a bucketful is too much")
		}
		if c.Debit(Bytes, 1001) || c.Wait(Bytes, 0) != time.Second || c.Wait(Bytes, 500) != 1500*time.Millisecond {
			t.Fatal("what is owed is not waited for, but ", c.Wait(Bytes, 0))
		}
		if !c.Debit(Bytes, 5000) {
			t.Fatal("more than two bucketfuls are not too much")
		}
		for range refusals.Burst {
			if c.Refused() {
				t.Fatal("refused too often, already")
			}
		}
		if !c.Refused() {
			t.Fatal("never refused too often")
		}
	})
}

func BenchmarkClientTake(b *testing.B) {
	rates := Rates{Publish: perSecond(1_000_000_000, 1_000_000_000)}
	c := NewClient(&rates, nil)
	b.ReportAllocs()
	for b.Loop() {
		c.Take(Publish)
	}
}

func BenchmarkClientTakeRefused(b *testing.B) {
	rates := Rates{Publish: Rate{1, time.Hour, 1}}
	c := NewClient(&rates, nil)
	b.ReportAllocs()
	for b.Loop() {
		c.Take(Publish)
	}
}

func BenchmarkUserTake(b *testing.B) {
	us := NewUsers("here", Rates{Publish: perSecond(1_000_000_000, 1_000_000_000)}, 0)
	u := us.Enter("asha", "")
	b.ReportAllocs()
	for b.Loop() {
		u.Take(Publish)
	}
}

func BenchmarkBucketsTake(b *testing.B) {
	bs := NewBuckets[netip.Addr](perSecond(1_000_000_000, 1_000_000_000))
	key := netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	for b.Loop() {
		bs.Take(key)
	}
}
