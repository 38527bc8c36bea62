package hotspot

import "fmt"

// Version is the version of a VM's JDK.
type Version struct {
	Major, Minor, Security, Build int
	Release                       string // 17.0.15+6-Debian-1deb12u1; of JDK 8 the VM's own: 25.504-b08
}

func (v Version) String() string { return fmt.Sprintf("%d (%s)", v.Major, v.Release) }

// maxMajor is beyond all that will be released while this layout lasts.
const maxMajor = 99

func readVersion(mem reader, t *table) (Version, error) {
	var v Version
	if at, ok := t.static("JDK_Version", "_current"); ok { // JDK 8 to 21; there Abstract_VM_Version is HotSpot's own version in 8
		var b [4]byte
		if err := mem.Read(at, b[:]); err != nil {
			return v, fmt.Errorf("version: %w", err)
		}
		v.Major, v.Minor, v.Security, v.Build = int(b[0]), int(b[1]), int(b[2]), int(b[3])
	} else {
		for _, part := range []struct {
			name string
			to   *int
		}{{"_vm_major_version", &v.Major}, {"_vm_minor_version", &v.Minor}, {"_vm_security_version", &v.Security}, {"_vm_build_number", &v.Build}} {
			at, ok := t.static("Abstract_VM_Version", part.name)
			if !ok {
				return v, fmt.Errorf("%w: it does not tell its version", ErrNotHotSpot)
			}
			n, err := mem.u32(at)
			if err != nil {
				return v, fmt.Errorf("version: %w", err)
			}
			*part.to = int(n)
		}
	}
	if at, ok := t.static("Abstract_VM_Version", "_s_vm_release"); ok {
		text, err := mem.u64(at)
		if err != nil {
			return v, fmt.Errorf("version: %w", err)
		}
		if v.Release, err = mem.cstring(text, maxName); err != nil {
			return v, fmt.Errorf("version: %w", err)
		}
	}
	if v.Major == 0 {
		return v, fmt.Errorf("%w: its version is not set yet", ErrNotReady)
	}
	if v.Major < 8 || v.Major > maxMajor {
		return v, fmt.Errorf("%w: JDK %d", ErrNotHotSpot, v.Major)
	}
	return v, nil
}
