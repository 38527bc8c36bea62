package jvm

import (
	"slices"
	"strings"
	"testing"
)

func TestMachinesAreToldApartByTheirLibraries(t *testing.T) {
	const row = "7f0000000000-7f0000001000 r-xp 00000000 fe:00 1234                       "
	tests := map[string]machine{
		"/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so":                   hotSpot,
		"/opt/a folder (deleted)/lib/server/libjvm.so (deleted)":                    hotSpot,
		"/usr/lib/jvm/java-8-openjdk-amd64/jre/lib/amd64/server/libjvm.so":          hotSpot8,
		"/opt/j9/lib/server/libjvm.so\n" + row + "/opt/j9/lib/default/libj9vm29.so": openJ9,
		"/opt/j9/lib/default/libj9vm29.so\n" + row + "/opt/j9/lib/server/libjvm.so": openJ9,
		"/usr/lib/libc.so.6": noMachine,
		"[heap]":             noMachine,
		"/tmp/libjvm.so.txt": noMachine,
	}
	for file, want := range tests {
		if got, err := parseMachine(strings.NewReader(row + file + "\n")); got != want || err != nil {
			t.Errorf("%q: %v, %v, want %v", file, got, err, want)
		}
	}
}

func TestProcFilesAreParsed(t *testing.T) {
	s, err := parseStatus(strings.NewReader("Name:\tx\\nState:\tR\nState:\tS (sleeping)\nTgid:\t42\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n" +
		"NSpid:\t42\t7\t1\nSigCgt:\t2000000181005ccf\n"))
	if want := (status{'S', 42, 1, 2, 6, true, true}); s != want || err != nil {
		t.Errorf("status %+v, %v", s, err)
	}
	for _, text := range []string{"", "State:\tS\n", "State:\tS\nTgid:\tx\n", "State:\tS\nTgid:\t1\nUid:\t1\n"} {
		if s, err := parseStatus(strings.NewReader(text)); err == nil {
			t.Errorf("%q: %+v", text, s)
		}
	}
	start, err := parseStartTime([]byte("42 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20\n"))
	if start != 777 || err != nil {
		t.Errorf("start time %d, %v", start, err)
	}
	if _, err := parseStartTime(nil); err == nil {
		t.Error("no error of an empty stat")
	}
}

func TestOnlyTheJVMsOwnArgumentsCount(t *testing.T) {
	tests := []struct{ line, want string }{
		{"java -Xmx1g -cp a -XX:+X Main -XX:+DisableAttachMechanism", "-Xmx1g -cp a -XX:+X"},
		{"/usr/bin/java -XX:+X -jar a.jar -XX:+Y", "-XX:+X"},
		{"java -p mods @file -m a/b -XX:+Y", "-p mods @file"},
		{"java -version", "-version"},
		{"jsvc -XX:+X Main -XX:+Y", "jsvc -XX:+X Main -XX:+Y"},
	}
	for _, tt := range tests {
		if got := jvmArgs(strings.Fields(tt.line)); !slices.Equal(got, strings.Fields(tt.want)) {
			t.Errorf("%s: %q, want %q", tt.line, got, tt.want)
		}
	}
}

func TestRequestsAndAnswersOfTheProtocol(t *testing.T) {
	one, err := request(false, "jcmd", "", []string{"VM.version"})
	if string(one) != "1\x00jcmd\x00VM.version\x00\x00\x00" || err != nil {
		t.Errorf("version 1: %q, %v", one, err)
	}
	two, err := request(true, "threaddump", "streaming=0", nil)
	if string(two) != "2\x0023\x00threaddump streaming=0\x00" || err != nil {
		t.Errorf("version 2: %q, %v", two, err)
	}
	if _, err := request(false, "jcmd", "", []string{"", "", "", ""}); err == nil {
		t.Error("four arguments were accepted")
	}
	if _, err := request(false, "jcmd", "", []string{strings.Repeat("x", 1025)}); err == nil {
		t.Error("a long argument was accepted")
	}
	for reply, ok := range map[string]bool{"0\ntext": true, "0\n": true, "0": true, "-1\nno": false, "101\n": false, "": false, "x\ny": false} {
		if _, err := parseReplyCode("c", []byte(reply)); (err == nil) != ok {
			t.Errorf("reply %q: %v", reply, err)
		}
	}
	for text, want := range map[string]string{
		"OpenJDK 64-Bit Server VM version 17.0.15+6-Debian-1deb12u1\nJDK 17.0.15\n": "17.0.15+6-Debian-1deb12u1",
		"OpenJDK 64-Bit Server VM version 25.0.3+9-LTS\nJDK 25.0.3\n":               "25.0.3+9-LTS",
		"OpenJDK 64-Bit Server VM version 25.504-b01\nJDK 8.0_504\n":                "8.0_504 (25.504-b01)",
		"nothing": "",
	} {
		if got, ok := parseVersion(text); ok != (want != "") || ok && got != want {
			t.Errorf("version of %q: %q, %v", text, got, ok)
		}
	}
}
