package report

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/klauspost/compress/zstd"

	"vmaleak/leak"
)

// FileOptions says whom a file is for: under sudo, the one who called it. The
// zero value leaves the file to the process.
type FileOptions struct {
	UID, GID int
}

// WriteFile writes the export to path: first to a temporary file beside it,
// mode 0600, which then takes its place, so that a reader never sees half a
// file. A name in .gz or .zst is compressed. Nothing is left behind on error.
func WriteFile(path string, s *leak.Snapshot, o FileOptions) error {
	return Write(path, o, func(w io.Writer) error { return JSON(w, s) })
}

// Write does for any document what WriteFile does for an export.
func Write(path string, o FileOptions, render func(io.Writer) error) (err error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		if st.IsDir() {
			return fmt.Errorf("write %s: it is a directory (give the name of a file)", path)
		}
		return fmt.Errorf("write %s: it is not a regular file (give another name, or - for standard output)", path)
	}
	f, err := os.CreateTemp(dir, "."+base+".*.tmp") // 0600
	if err != nil {
		return fileError(path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			_ = os.Remove(f.Name()) // the error that counts is returned
			err = fileError(path, err)
		}
	}()
	if err := compressed(f, base, render); err != nil {
		return err
	}
	if o != (FileOptions{}) {
		if err := f.Chown(o.UID, o.GID); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	if d, err := os.Open(dir); err == nil { // the name lasts too; not every file system can
		_ = d.Sync()
		d.Close()
	}
	return nil
}

// compressed renders through the compressor that the name asks for.
func compressed(w io.Writer, name string, render func(io.Writer) error) error {
	var z io.WriteCloser
	switch {
	case strings.HasSuffix(name, ".gz"):
		z = gzip.NewWriter(w)
	case strings.HasSuffix(name, ".zst"):
		enc, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		if err != nil {
			return err
		}
		z = enc
	default:
		return render(w)
	}
	if err := render(z); err != nil {
		z.Close()
		return err
	}
	return z.Close()
}

// fileError says what to do about err.
func fileError(path string, err error) error {
	cure := ""
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		cure = " (the disk is full: make room, or write elsewhere with -o)"
	case errors.Is(err, os.ErrPermission):
		cure = " (choose a directory that you may write to, with -o)"
	case errors.Is(err, syscall.EROFS):
		cure = " (the file system is read-only: write elsewhere with -o)"
	case errors.Is(err, os.ErrNotExist):
		cure = " (make the directory first)"
	}
	return fmt.Errorf("write %s: %w%s", path, err, cure)
}
