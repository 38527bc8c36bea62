package strace

import (
	"strings"
	"testing"
	"time"
)

func TestRefusalsOfDirectMemoryAreFound(t *testing.T) {
	const jdk = "java.lang.OutOfMemoryError: Cannot reserve 16777216 bytes of direct buffer memory (allocated: 201326593, limit: 201326592)"
	netty := strings.TrimSpace(nettyLine)
	for name, tt := range map[string]struct {
		text   string
		at     string
		line   int
		atLine int
		used   uint64
		limit  uint64
	}{
		"Netty's, with a time in its line":   {"2021-03-02 09:14:00,123 ERROR " + netty, "2021-03-02T09:14:00.123Z", 1, 1, 2130706439, 2147483648},
		"Netty's, behind a line with a time": {"x\n2021-03-02T09:14:00.5+01:00 WARN [a] x\r\n" + netty + "\r\n\tat a.b.C(D.java:1)", "2021-03-02T08:14:00.5Z", 3, 2, 2130706439, 2147483648},
		"a cause":                            {"Caused by: " + netty, "", 1, 0, 2130706439, 2147483648},
		"the JDK's":                          {"[02-Mar-2021 09:14:00.123] " + jdk, "2021-03-02T09:14:00.123Z", 1, 1, 201326593, 201326592},
		"the JDK's, a level first":           {"ERROR 2021-03-02 09:14:00 " + jdk, "2021-03-02T09:14:00Z", 1, 1, 201326593, 201326592},
		"the JDK's of old, no numbers":       {"Mar 02, 2021 9:14:00 AM x.Y z\njava.lang.OutOfMemoryError: Direct buffer memory", "2021-03-02T09:14:00Z", 2, 1, 0, 0},
		"a time too far above":               {"2021-03-02 09:14:00 x\n" + strings.Repeat("x\n", 40) + netty, "", 42, 0, 2130706439, 2147483648},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := ParseLog(strings.NewReader(tt.text))
			if err != nil || len(found) != 1 {
				t.Fatalf("%+v, %v", found, err)
			}
			o := found[0]
			at := ""
			if !o.At.IsZero() {
				at = o.At.UTC().Format(time.RFC3339Nano)
			}
			if at != tt.at || o.Line != tt.line || o.AtLine != tt.atLine || o.Used != tt.used || o.Limit != tt.limit || o.Used != 0 && o.Requested != 16777216 {
				t.Errorf("%+v", o)
			}
		})
	}
}

func TestOtherErrorsAreNone(t *testing.T) {
	found, err := ParseLog(strings.NewReader("java.lang.OutOfMemoryError: Java heap space\nOutOfDirectMemoryError: failed to allocate many byte(s)\nError: \n"))
	if err != nil || len(found) != 0 {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestALogsTimeMovesToItsPlace(t *testing.T) {
	found, err := ParseLog(strings.NewReader("2021-03-02 09:14:00 " + nettyLine + "2021-03-02T09:14:00Z " + nettyLine))
	if err != nil {
		t.Fatal(err)
	}
	zone := time.FixedZone("", 8*3600)
	if got := found[0].In(zone).UTC().Hour(); got != 1 {
		t.Errorf("a time without a zone: hour %d", got)
	}
	if got := found[1].In(zone).UTC().Hour(); got != 9 {
		t.Errorf("a time with a zone: hour %d", got)
	}
}

func TestOfTooManyRefusalsTheFirstAndTheLastAreKept(t *testing.T) {
	found, err := ParseLog(&repeated{text: []byte(nettyLine), n: maxErrors + 10})
	if err != nil || len(found) != maxErrors || found[0].Line != 1 || found[maxErrors-1].Line != maxErrors+10 {
		t.Errorf("%d found, %v", len(found), err)
	}
}
