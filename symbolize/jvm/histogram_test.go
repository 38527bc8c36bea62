package jvm

import (
	"reflect"
	"testing"
)

func TestParseHistogram(t *testing.T) {
	text := " num     #instances         #bytes  class name (module)\n" +
		"-------------------------------------------------------\n" +
		"   1:         19511        4283640  [B (java.base@17.0.15)\n" +
		"   2:           601          52888  io.netty.buffer.PooledUnsafeDirectByteBuf\n" +
		"   3:  99999999999999999999  1  x\n" +
		"Total 3 words here\n" +
		"Total         46572        9876543\n"
	want := &Histogram{Classes: []ClassCount{{"[B", 19511, 4283640}, {"io.netty.buffer.PooledUnsafeDirectByteBuf", 601, 52888}},
		Instances: 46572, Bytes: 9876543, Bad: 1}
	if got := parseHistogram([]byte(text)); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := parseHistogram(nil); len(got.Classes) != 0 || got.Bytes != 0 {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestHistogramOfALivingJVM(t *testing.T) {
	eachJDK(t, func(t *testing.T, java string) {
		p := startJVM(t, java, targetOptions{})
		c := mustDial(t, p.pid, Options{Start: true})
		for _, live := range []bool{false, true} {
			h, err := c.Histogram(t.Context(), live)
			if err != nil {
				t.Fatal(err)
			}
			var instances, bytes uint64
			strings := uint64(0)
			for _, class := range h.Classes {
				instances += class.Instances
				bytes += class.Bytes
				if class.Class == "java.lang.String" {
					strings = class.Instances
				}
			}
			if instances != h.Instances || bytes != h.Bytes || strings < 100 || h.Bad != 0 {
				t.Errorf("live %v: %d instances of %d, %d B of %d, %d strings, %d bad", live, instances, h.Instances, bytes, h.Bytes, strings, h.Bad)
			}
		}
		p.unharmed(t)
	})
}
