package content

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

var (
	noon   = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	window = Options{From: noon.Add(-24 * time.Hour), To: noon.Add(24 * time.Hour)}
)

// mustPage is text in a page of its own.
func mustPage(tb testing.TB, text string) []byte {
	tb.Helper()
	if len(text) > 4096 {
		tb.Fatalf("%d bytes are more than a page", len(text))
	}
	return append([]byte(text), make([]byte, 4096-len(text))...)
}

func randomPage(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

func mail(n int, at time.Time) string {
	return fmt.Sprintf("Received: from petal.example by james.example; %s\r\nMessage-ID: <%d.%d@petal.example>\r\n"+
		"Subject: order %d of roses\r\nX-Sent: %d\r\n\r\nDear customer,\r\nyour order is on its way.\r\n",
		at.Format("Mon, 02 Jan 2006 15:04:05 -0700"), at.UnixMilli(), n, n, at.Unix())
}

func TestThePageIsOfAKind(t *testing.T) {
	var z, g bytes.Buffer
	w := gzip.NewWriter(&g)
	fmt.Fprint(w, strings.Repeat("petals and petals ", 90))
	w.Close()
	v := zlib.NewWriter(&z)
	fmt.Fprint(v, strings.Repeat("roses and petals ", 90))
	v.Close()
	wide := func(order binary.AppendByteOrder) (p []byte) {
		for _, u := range utf16.Encode([]rune(strings.Repeat("all the petals of a rose; ", 70))) {
			p = order.AppendUint16(p, u)
		}
		return p
	}
	pointers := make([]byte, 4096)
	for i := 0; i < 4096; i += 16 {
		binary.LittleEndian.PutUint64(pointers[i:], 0x7f46cc4db000+uint64(i))
	}
	counters := make([]byte, 4096)
	for i := 0; i < 4096; i += 4 {
		binary.LittleEndian.PutUint32(counters[i:], uint32(i%7))
	}
	for _, c := range []struct {
		what, want string
		page       []byte
	}{
		{"nothing", Zero, make([]byte, 4096)},
		{"mail", Mail, mustPage(t, mail(1, noon))},
		{"mail behind a binary header", Mail, mustPage(t, "\x00\x00\x01\x9a\x00\x01\x02\x03"+mail(1, noon))},
		{"SMTP", Session, mustPage(t, "EHLO petal.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")},
		{"IMAP", Session, mustPage(t, "a001 UID FETCH 1:9 (FLAGS)\r\n* 1 FETCH (UID 4 FLAGS (\\Seen))\r\n* 2 FETCH (UID 5)\r\na001 OK done\r\n")},
		{"HTTP", HTTP, mustPage(t, "POST /orders?id=1 HTTP/1.1\r\nHost: petal.example\r\nContent-Type: text/plain\r\n\r\nroses")},
		{"an answer of HTTP", HTTP, mustPage(t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: petal\r\n\r\nroses")},
		{"JSON", JSON, mustPage(t, strings.Repeat(`{"order":1,"flower":"rose","petals":[1,2,3]},`, 20))},
		{"XML", XML, mustPage(t, "<?xml version=\"1.0\"?>\n<orders><order><flower>rose</flower></order></orders>")},
		{"base64", Base64, mustPage(t, regexpLines(base64.StdEncoding.EncodeToString(randomPage(3, 2800))))},
		{"text", Text, mustPage(t, strings.Repeat("a rose is a rose is a rose.\n", 30))},
		{"text of another language", Text, mustPage(t, strings.Repeat("Die Blütenblätter der Rosen fallen früh.\n", 30))},
		{"text of another script", Text, mustPage(t, strings.Repeat("Розы красные, а лепестки белые.\n", 30))},
		{"UTF-16", UTF16, wide(binary.LittleEndian)[:4096-500]},
		{"UTF-16 of the other order", UTF16, wide(binary.BigEndian)[:4096-500]},
		{"gzip", "gzip", mustPage(t, g.String())},
		{"zlib behind malloc's header", "zlib", mustPage(t, strings.Repeat("\x00", 16)+z.String())},
		{"a class", "Java class", mustPage(t, "\xca\xfe\xba\xbe\x00\x00\x00\x3d\x01\x02"+string(randomPage(5, 300)))},
		{"an image", "PNG", mustPage(t, "\x89PNG\r\n\x1a\n"+string(randomPage(6, 900)))},
		{"a Java stream", "Java serialization", mustPage(t, "\xac\xed\x00\x05sr\x00\x11java.lang.Integer"+string(randomPage(6, 90)))},
		{"TLS", "TLS", mustPage(t, "\x17\x03\x03\x04\x00"+string(randomPage(7, 1024)))},
		{"random bytes", Compressed, randomPage(8, 4096)},
		{"addresses", Pointers, pointers},
		{"a few bytes", Sparse, mustPage(t, "\x01\x02\x03")},
		{"small numbers", Binary, counters},
	} {
		if got := kindOf(c.page); got != c.want {
			t.Errorf("%s is %q, want %q (%+v)", c.what, got, c.want, measurePage(c.page))
		}
	}
}

// regexpLines breaks s as MIME does.
func regexpLines(s string) string {
	var b strings.Builder
	for chunk := range slices.Chunk([]byte(s), 76) {
		b.Write(chunk)
		b.WriteString("\r\n")
	}
	return b.String()
}

func TestRandomBytesAreOfNoFormat(t *testing.T) {
	for seed := range uint64(300) {
		if got := kindOf(randomPage(seed, 4096)); got != Compressed {
			t.Errorf("seed %d: %q", seed, got)
		}
	}
	var blocks []Block
	for i := range uint64(64) {
		blocks = append(blocks, Block{Addr: 0x7f0000000000 + i*4096, Data: randomPage(1000+i, 4096)})
	}
	if f := Analyze(blocks, window); f.Dates.Count != 0 || len(f.Strings) != 0 || f.Record != nil || f.Entropy < 7.9 {
		t.Errorf("%+v", f)
	}
}

func TestMailIsFoundWithItsDatesAndItsRecord(t *testing.T) {
	var blocks []Block
	const n, slotSize = 64, 65536
	for i := range n {
		at := noon.Add(time.Duration(i) * time.Second)
		blocks = append(blocks, Block{Addr: 0x7f4600000000 + uint64(i)*slotSize, Data: mustPage(t, mail(i, at))})
	}
	f := Analyze(blocks, window)
	if f.Pages != n || len(f.Kinds) != 1 || f.Kinds[0] != (Count{Mail, n}) {
		t.Errorf("kinds %v", f.Kinds)
	}
	last := noon.Add((n - 1) * time.Second)
	if f.Dates.Count != 3*n || !f.Dates.First.Equal(noon) || !f.Dates.Last.Equal(last) || len(f.Dates.Forms) != 3 || f.Dates.Outside != nil {
		t.Errorf("dates %+v", f.Dates.Forms)
	}
	if f.Dates.Low.Before(noon.Add(15*time.Second)) || f.Dates.High.After(last.Add(-15*time.Second)) {
		t.Errorf("the middle half is %v to %v", f.Dates.Low, f.Dates.High)
	}
	if r := f.Record; r == nil || r.Distance != slotSize || r.Count != n || r.Share != 1 {
		t.Errorf("record %+v", r)
	}
	want := String{Text: "Subject: order 0 of roses", Count: n, Varies: true}
	if !slices.Contains(f.Strings, want) {
		t.Errorf("strings %+v", f.Strings)
	}
	if v := f.Views; len(v) != 1 || v[0].Kind != Mail || v[0].Addr%slotSize != 0 || !bytes.HasPrefix(v[0].Bytes, []byte("Received: ")) {
		t.Errorf("views %+v", v)
	}
}

func TestWhatLiesBesideIsOnePiece(t *testing.T) {
	text := strings.Repeat("the same sentence again, ", 500)[:3*4096]
	p := append(make([]byte, 4096), text...)
	pieces := join(cutKinds([]Block{{Addr: 0x1000, Data: p}, {Addr: 0x5000, Data: p, Cut: true}}))
	if len(pieces) != 2 || pieces[0].Addr != 0x2000 || string(pieces[0].Data) != text || pieces[1].Addr != 0x6000 || !pieces[1].Cut || pieces[0].Cut {
		t.Errorf("%d pieces", len(pieces))
	}
}

func cutKinds(blocks []Block) []page {
	pages := cutPages(blocks, 4096)
	for i := range pages {
		pages[i].kind = kindOf(pages[i].Data)
	}
	return pages
}

func TestStringsAreCountedByPattern(t *testing.T) {
	f := &stringFinder{found: map[string]*String{}}
	f.text([]byte("order 1 of 22\norder 2 of 3\x00short\x00--------------\x00\xff\xfe\xfd\xfc\xfb\xf0\xff\xff\xff\x00a rose is\x01a rose is\x00"))
	f.text([]byte("\x01p\x00e\x00t\x00a\x00l\x00 \x00o\x00f\x00 \x00a\x00\x00"))
	want := []String{{"order 1 of 22", 2, true, false}, {"a rose is", 2, false, false}, {"petal of a", 1, false, true}}
	if got := f.top(); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	for i := range maxPatterns + 10 {
		f.add(fmt.Appendf(nil, "petal %s rose", strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprint(i))), false)
	}
	if len(f.found) != maxPatterns || f.Dropped == 0 {
		t.Errorf("%d patterns, %d dropped", len(f.found), f.Dropped)
	}
}

func TestRecordsRepeat(t *testing.T) {
	p := make([]byte, 0, 64*200)
	for i := range 64 {
		rec := make([]byte, 200)
		copy(rec, "\x01\x02\x03\x04HEADER-OF-RECORD")
		binary.LittleEndian.PutUint64(rec[64:], uint64(i)*0x9e3779b97f4a7c15)
		p = append(p, rec...)
	}
	r := findRecord([]Block{{Addr: 0x10000, Data: p}})
	if r == nil || r.Distance != 200 || r.Count != 64 || !bytes.HasPrefix(r.Bytes, []byte("\x01\x02\x03\x04HEADER")) || r.Addr != 0x10000 {
		t.Errorf("%+v", r)
	}
	var sampled []Block // one piece of each 4 KiB: the distance between pieces is the sample's, not the memory's
	for i := range 64 {
		sampled = append(sampled, Block{Addr: uint64(i) << 12, Data: p[:200], Cut: true})
	}
	if r := findRecord(sampled); r != nil {
		t.Errorf("the sample's own distance is taken for a record's: %+v", r)
	}
	if r := findRecord([]Block{{Addr: 0x10000, Data: randomPage(4, 1<<16)}}); r != nil {
		t.Errorf("random bytes repeat: %+v", r)
	}
	if r := findRecord(nil); r != nil {
		t.Errorf("nothing repeats: %+v", r)
	}
}

func TestHexdumpFoldsAndHidesControl(t *testing.T) {
	p := append([]byte("\x1b[31mpetals\x00\x01\x02\x03\x04"), make([]byte, 64)...)
	want := []string{
		"7f0000000000  1b 5b 33 31 6d 70 65 74  61 6c 73 00 01 02 03 04  .[31mpetals.....",
		"7f0000000010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  ................",
		"*",
	}
	if got := Hexdump(0x7f0000000000, p, 9); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := Hexdump(0, p, 1); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if got := Lines([]byte("one line\r\n\x00two lines\x1b[31mred!"), 9); !slices.Equal(got, []string{"one line", "two lines", "[31mred!"}) {
		t.Errorf("%q", got)
	}
}

func FuzzAnalyze(f *testing.F) {
	f.Add([]byte(mail(3, noon)), uint64(0x7f0000000000))
	f.Add([]byte("\x16\x03\x01\x00\x10\x01\x00\x00\x0c\x1f\x8b\x08\x00x\x9c{\"a\":1}"), uint64(0))
	f.Add(bytes.Repeat([]byte("x\x9c\x00\x00\x00\x00\x00\x00"), 600), uint64(1<<63))
	f.Add([]byte("9999-99-99T99:99:99 1764072000 1764072000123 Mon, 99 Feb 2021 25:61:61 +9999"), uint64(1<<64-4096))
	f.Fuzz(func(t *testing.T, p []byte, addr uint64) {
		if len(p) > 1<<16 {
			p = p[:1<<16]
		}
		addr &^= 4095
		got := Analyze([]Block{{Addr: addr, Data: p}}, window)
		pages := 0
		for _, k := range got.Kinds {
			pages += k.Count
		}
		if want := (len(p) + 4095) / 4096; pages != want || got.Pages != want {
			t.Errorf("%d of %d pages have a kind, want %d", pages, got.Pages, want)
		}
		sum := 0
		for _, d := range got.Dates.Forms {
			sum += d.Count
		}
		if d := got.Dates; sum != d.Count || len(d.Stamps) != d.Count || d.Count > 0 && (d.First.Before(window.From) || !d.Last.Before(window.To) || d.Low.After(d.High)) {
			t.Errorf("dates %+v", d)
		}
		for _, v := range got.Views {
			for _, line := range Hexdump(v.Addr, v.Bytes, 20) {
				if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Errorf("hexdump line %q", line)
				}
			}
		}
	})
}
