package report

import (
	"io"
	"os"
	"path/filepath"

	"vmaleak/leak"
)

// CanWrite finds out whether WriteFile could write to path, without leaving anything there.
func CanWrite(path string) error {
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return Write(path, FileOptions{}, func(io.Writer) error { return nil }) // says what it is
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return fileError(path, err)
	}
	f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return fileError(path, err)
	}
	return nil
}

// WriteText writes the screen of s to path, as WriteFile writes the export.
func WriteText(path string, s *leak.Snapshot, t TextOptions, o FileOptions) error {
	return Write(path, o, func(w io.Writer) error { return Text(w, s, t) })
}

// Bytes is n as identities are shown: exact, with thousands separated and the unit.
func Bytes(n uint64) string { return exact(n) + " B" }
