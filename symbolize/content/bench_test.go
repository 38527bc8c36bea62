package content

import (
	"bytes"
	"fmt"
	"testing"
)

// BenchmarkAnalyze is the largest sample, of what is usual and of what is made to be expensive.
func BenchmarkAnalyze(b *testing.B) {
	const size = MaxPages * 4096
	var mails bytes.Buffer
	for i := 0; mails.Len() < size; i++ {
		mails.WriteString(mail(i, noon))
	}
	for _, c := range []struct {
		what string
		p    []byte
	}{
		{"mail", mails.Bytes()[:size]},
		{"random", randomPage(1, size)},
		{"zlib headers", bytes.Repeat([]byte("x\x9c\x00\x00\x00\x00\x00\x01"), size/8)},
		{"dates", bytes.Repeat([]byte("2026-11-25T12:00:00\x00"), size/20+1)[:size]},
		{"UTF-16", bytes.Repeat([]byte("a\x00b\x00c\x00d\x00e\x00f\x00g\x00\x01\x00"), size/16)},
		{"strings", bytes.Repeat(fmt.Appendf(nil, "%s", "abcdefgh ijklmnop\x00"), size/18+1)[:size]},
	} {
		b.Run(c.what, func(b *testing.B) {
			for b.Loop() {
				Analyze([]Block{{Addr: 0x7f0000000000, Data: c.p}}, window)
			}
		})
	}
}
