package report

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"vmaleak/leak"
)

func mustJSON(tb testing.TB, s *leak.Snapshot) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := JSON(&b, s); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func TestExportsAreValidAndComeBackEqual(t *testing.T) {
	for name, s := range snapshots(t) {
		t.Run(name, func(t *testing.T) {
			doc := mustJSON(t, s)
			golden(t, name+".json", doc)
			if err := Validate(doc); err != nil {
				t.Errorf("the schema: %v", err)
			}
			if !utf8.Valid(doc) || !json.Valid(doc) {
				t.Error("not valid JSON in UTF-8")
			}
			var plain leak.Snapshot
			if err := json.Unmarshal(doc, &plain); err != nil {
				t.Fatal(err)
			}
			back, err := ReadJSON(bytes.NewReader(doc))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(&plain, back) {
				t.Error("ReadJSON and encoding/json disagree")
			}
			if again := mustJSON(t, back); !bytes.Equal(doc, again) {
				t.Errorf("written again it differs:\n%s", again)
			}
			var std bytes.Buffer
			enc := json.NewEncoder(&std)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(s); err != nil {
				t.Fatal(err)
			}
			var compact bytes.Buffer
			if err := json.Compact(&compact, doc); err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(std.String()) != strings.TrimSpace(compact.String()) {
				t.Error("the streamed document is not what encoding/json writes")
			}
		})
	}
}

func TestExportsOfOlderProgramsAreRead(t *testing.T) {
	doc := mustJSON(t, snapshots(t)["story"])
	for _, added := range [][2]string{{`,"pending":0,"reasons":{}`, ""}, {`,"carried":[]`, ""}, {`,"stacks":[]}`, "}"}} {
		if !bytes.Contains(doc, []byte(added[0])) {
			t.Fatalf("the export has no %s", added[0])
		}
		doc = bytes.ReplaceAll(doc, []byte(added[0]), []byte(added[1]))
	}
	if err := Validate(doc); err != nil {
		t.Fatal(err)
	}
	s, err := ReadJSON(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	if want := mustJSON(t, snapshots(t)["story"]); !bytes.Equal(mustJSON(t, s), want) {
		t.Error("written again it is not what this program writes")
	}
}

func TestTheSchemaKnowsEveryField(t *testing.T) {
	var schema struct {
		Properties map[string]any
		Defs       map[string]struct{ Properties map[string]any } `json:"$defs"`
	}
	if err := json.Unmarshal(Schema, &schema); err != nil {
		t.Fatal(err)
	}
	for name, typ := range map[string]reflect.Type{"process": reflect.TypeFor[leak.Entry](), "thread": reflect.TypeFor[leak.Thread](),
		"pool": reflect.TypeFor[leak.Pool](), "mapping": reflect.TypeFor[leak.Mapping](), "account": reflect.TypeFor[leak.Account](),
		"carried": reflect.TypeFor[leak.Carried](), "poolStack": reflect.TypeFor[leak.PoolStack](), "categoryUse": reflect.TypeFor[leak.CategoryUse](), "books": reflect.TypeFor[leak.Books](), "suspect": reflect.TypeFor[leak.Suspect](), "stack": reflect.TypeFor[leak.Stack](), "frame": reflect.TypeFor[leak.Frame](),
		"events": reflect.TypeFor[leak.Events](), "cgroup": reflect.TypeFor[leak.CGroup](), "cgroupProcess": reflect.TypeFor[leak.CGroupProcess](), "jvm": reflect.TypeFor[leak.JVM](),
		"limit": reflect.TypeFor[leak.Limit](), "retained": reflect.TypeFor[leak.Retained](), "malloc": reflect.TypeFor[leak.Malloc](), "mallocUse": reflect.TypeFor[leak.MallocUse](), "arena": reflect.TypeFor[leak.Arena](), "regime": reflect.TypeFor[leak.Regime](), "blocks": reflect.TypeFor[leak.Blocks](), "blockAccount": reflect.TypeFor[leak.BlockAccount](), "blockCost": reflect.TypeFor[leak.BlockCost](), "series": reflect.TypeFor[leak.Series]()} {
		fs := fields(typ)
		for _, f := range fs {
			if _, ok := schema.Defs[name].Properties[f.name]; !ok {
				t.Errorf("%s has no %s in the schema", name, f.name)
			}
		}
		if len(fs) != len(schema.Defs[name].Properties) {
			t.Errorf("%s has %d fields, the schema %d", name, len(fs), len(schema.Defs[name].Properties))
		}
	}
}

func TestTheSchemaRefusesWhatIsNotInTheContract(t *testing.T) {
	doc := string(mustJSON(t, james().steps(1).snapshot(t, leak.SourceLive)))
	for what, change := range map[string][2]string{
		"another category":      {`"category":"other"`, `"category":"netty"`},
		"a number as address":   {`"start":"0x7f4674483000"`, `"start":139940}`},
		"another origin":        {`"origin":"traced"`, `"origin":"guessed"`},
		"a list that is null":   {`"suspects": []`, `"suspects": null`},
		"a field that is gone":  {`"verified": true,`, ``},
		"a time without a zone": {`"started_at": "2021-03-01T22:48:40Z"`, `"started_at": "2021-03-01 22:48:40"`},
	} {
		bad := strings.Replace(doc, change[0], change[1], 1)
		if bad == doc {
			t.Fatalf("%s: nothing was changed", what)
		}
		if Validate([]byte(bad)) == nil {
			t.Errorf("%s is let through", what)
		}
	}
}

func TestReadingRefusesClearly(t *testing.T) {
	doc := string(mustJSON(t, james().steps(1).snapshot(t, leak.SourceLive)))
	tests := []struct {
		name, doc, says string
		is              error
	}{
		{"an empty file", "", "empty", ErrNotExport},
		{"another version", strings.Replace(doc, "vmaleak/v1", "vmaleak/v2", 1), `"vmaleak/v2"`, ErrVersion},
		{"another document", `{"hello": 1}`, "schema", ErrNotExport},
		{"text", "mmap(NULL, 16781312", "not an export", ErrNotExport},
		{"null", "null", "not an export", ErrNotExport},
		{"half a file", doc[:len(doc)/2], "ends in the middle", ErrNotExport},
		{"sums that do not fit", strings.Replace(doc, `"outstanding":134250496`, `"outstanding":134250497`, 1), "sums", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadJSON(strings.NewReader(tt.doc))
			if err == nil || !strings.Contains(err.Error(), tt.says) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error is %v", err)
			}
		})
	}
	if _, err := readJSON(strings.NewReader(doc), 1000); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a document over the limit: %v", err)
	}
}

func TestUnknownFieldsOfVersion1AreSkipped(t *testing.T) {
	doc := mustJSON(t, james().steps(1).snapshot(t, leak.SourceLive))
	more := bytes.Replace(doc, []byte(`"pid": 16067`), []byte(`"new": {"a": [1, {}]}, "pid": 16067`), 1)
	more = bytes.Replace(more, []byte(`"tid":25893`), []byte(`"colour":"red","tid":25893`), 1)
	s, err := ReadJSON(bytes.NewReader(more))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(doc, mustJSON(t, s)) {
		t.Error("what was known has changed")
	}
}

func TestFilesAreWrittenWholeAndReadBack(t *testing.T) {
	s := james().steps(2).snapshot(t, leak.SourceLive)
	dir := t.TempDir()
	for _, name := range []string{"a.json", "a.json.gz", "a.json.zst"} {
		path := filepath.Join(dir, name)
		for range 2 { // the second takes the first one's place
			if err := WriteFile(path, s, FileOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ReadJSON(f)
		f.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(mustJSON(t, s), mustJSON(t, back)) {
			t.Errorf("%s comes back changed", name)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) != 3 {
		t.Errorf("files left: %v", list)
	}
}

func TestNothingIsLeftOfAFileThatFailed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.json.gz")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Write(path, FileOptions{}, func(w io.Writer) error {
		io.WriteString(w, "half")
		return os.ErrDeadlineExceeded
	})
	if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), path) {
		t.Errorf("error is %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "before" {
		t.Errorf("the file that was there is now %q", b)
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("files left: %v", list)
	}
	s := james().snapshot(t, leak.SourceLive)
	for path, says := range map[string]string{filepath.Join(dir, "no", "a.json"): "make the directory first", dir: "directory", "/dev/full": "regular"} {
		if err := WriteFile(path, s, FileOptions{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error is %v", path, err)
		}
	}
	if f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0); err == nil {
		defer f.Close()
		if err := JSON(f, s); err == nil {
			t.Error("a full disk was not noticed")
		}
	}
}

func TestABombIsNotRead(t *testing.T) {
	var gz, zs bytes.Buffer
	z := gzip.NewWriter(&gz)
	e, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.WriteCloser{z, e} {
		io.WriteString(w, `{"schema": "vmaleak/v1", "x": "`)
		w.Write(bytes.Repeat([]byte{'a'}, 8<<20))
		w.Close()
	}
	for _, b := range []*bytes.Buffer{&gz, &zs} {
		if _, err := readJSON(b, 1<<20); !errors.Is(err, ErrTooLarge) {
			t.Errorf("error is %v", err)
		}
	}
}

func BenchmarkJSON(b *testing.B) {
	sc := james()
	for range 100_000 {
		sc.mmap(int(sc.seq)%8, 8192)
	}
	s := sc.snapshot(b, leak.SourceLive)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if err := JSON(io.Discard, s); err != nil {
			b.Fatal(err)
		}
	}
}
