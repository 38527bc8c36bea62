package unwind

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFileWithLyingSectionHeadersIsTakenWithoutThem(t *testing.T) {
	file := ownVdso(t)
	want, err := openImage(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint16(file[62:], 0xfffe) // e_shstrndx
	im, err := openImage(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if len(im.loads) != len(want.loads) || im.buildID != want.buildID || im.buildID == "" || len(im.sections) > 1 {
		t.Errorf("loads %v, build id %q, %d sections", im.loads, im.buildID, len(im.sections))
	}
}

func TestHeadersThatAskForTooMuch(t *testing.T) {
	file := bytes.Clone(ownVdso(t))
	binary.LittleEndian.PutUint16(file[60:], 0) // e_shnum: it is in the first section
	shoff := binary.LittleEndian.Uint64(file[40:])
	binary.LittleEndian.PutUint64(file[shoff+32:], 1<<40)
	began := time.Now()
	if im, err := openImage(zeros{file}); err == nil && len(im.sections) > 1 {
		t.Errorf("%d sections", len(im.sections))
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// zeros is a sparse file without end.
type zeros struct{ head []byte }

func (z zeros) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(z.head)) {
		copy(p, z.head[off:])
	}
	return len(p), nil
}

func TestUnwindTablesThatAreCutShortEndTheExtraction(t *testing.T) {
	file := ownVdso(t)
	im, err := openImage(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	s := im.section(".eh_frame")
	for cut := s.Offset; cut < s.Offset+s.Size; cut += 7 {
		im.file = bytes.NewReader(file[:cut])
		if table, err := readRows(im); err == nil && len(table.starts) > maxRows {
			t.Fatalf("%d rows", len(table.starts))
		}
	}
	if _, err := readRows(im); !errors.Is(err, errShort) && !strings.Contains(err.Error(), errShort.Error()) {
		t.Errorf("error %v", err)
	}
}

func TestBuildID(t *testing.T) {
	note := func(name string, kind uint32, desc []byte) (b []byte) {
		for _, v := range []uint32{uint32(len(name)), uint32(len(desc)), kind} {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		b = append(b, name...)
		return append(append(b, make([]byte, -len(name)&3)...), desc...)
	}
	id := bytes.Repeat([]byte{0xab}, 20)
	notes := append(note("Linux\x00", 0, []byte{1, 2, 3, 4}), note("GNU\x00", 3, id)...)
	if got := buildIDOf(notes, 4); got != hex.EncodeToString(id) {
		t.Errorf("got %q", got)
	}
	for n := range notes {
		if got := buildIDOf(notes[:n], 4); got != "" {
			t.Errorf("of %d bytes: %q", n, got)
		}
	}
	if got := buildIDOf([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0}, 4); got != "" {
		t.Errorf("lengths that lie: %q", got)
	}
}

func TestDebugFileIsFoundInTheTargetsRootOnly(t *testing.T) {
	root := t.TempDir()
	const path = "usr/lib/debug/.build-id/ab/cdef.debug"
	mustWrite := func(at, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "secret")
	mustWrite(outside, "outside")
	mustWrite(filepath.Join(root, path), "inside")
	f := openInRoot(root, path)
	if f == nil {
		t.Fatal("the file is not found")
	}
	f.Close()
	if err := os.Remove(filepath.Join(root, path)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(root, path)); err != nil {
		t.Fatal(err)
	}
	if f := openInRoot(root, path); f != nil {
		t.Error("a link led out of the root")
	}
	if err := os.Remove(filepath.Join(root, path)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(root, path), 0o644); err != nil {
		t.Fatal(err)
	}
	if f := openInRoot(root, path); f != nil {
		t.Error("a pipe was opened")
	}
}

// TestMiniDebugNamesAStrippedProgram packs a symbol table as distributions do.
func TestMiniDebugNamesAStrippedProgram(t *testing.T) {
	for _, tool := range []string{"cc", "objcopy", "strip", "xz"} {
		if _, err := exec.LookPath(tool); err != nil {
			skipAloud(t, tool+" is not installed")
		}
	}
	dir := t.TempDir()
	script := `cc -O2 -pthread -o full testdata/chain.c && objcopy --only-keep-debug full mini && xz -k mini &&
strip full && objcopy --add-section .gnu_debugdata=mini.xz full`
	script = strings.NewReplacer("testdata/", "$OLDPWD/testdata/").Replace(script)
	if b, err := exec.Command("sh", "-c", `OLDPWD=$PWD; cd "$0" && `+script, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	file, err := os.Open(filepath.Join(dir, "full"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	im, err := openImage(file)
	if err != nil {
		t.Fatal(err)
	}
	mini := miniDebug(im)
	if mini == nil {
		t.Fatal("no .gnu_debugdata")
	}
	at := mini.symbols("deep")["deep"]
	m := &module{name: "full", image: im}
	if frames := m.named(at+4, os.Getpid(), new(int64)); len(frames) != 1 || frames[0].Function != "deep" {
		t.Errorf("frames %+v", frames)
	}
}

func TestNamesAreReadable(t *testing.T) {
	for name, want := range map[string]string{
		"malloc":                     "malloc",
		"_ZN4pool5Arena4growEj":      "pool::Arena::grow(unsigned int)",
		"sysmalloc_mmap.constprop.0": "sysmalloc_mmap",
		"_ZN4core3ptr13drop_in_place17h0123456789abcdefE": "core::ptr::drop_in_place",
		"_RNvCs1234_7mycrate3foo":                         "mycrate::foo",
		"_Znot a name":                                    "_Znot a name",
	} {
		if got := readable(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	long := "_Z1f" + strings.Repeat("St4pairI", 2000)
	if got := readable(long); len(got) > 1<<17 {
		t.Errorf("%d bytes", len(got))
	}
}
