package symbolize

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	id64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	uid  = "12345678-9abc-def0-1234-56789abcdef0"
)

func TestParsePlacement(t *testing.T) {
	under := strings.ReplaceAll(uid, "-", "_")
	for _, c := range []struct {
		path string
		want placement
	}{
		{"/", placement{}},
		{"/system.slice/james.service", placement{Unit: "james.service"}},
		{"/system.slice/james.service/payload", placement{Unit: "james.service"}},
		{"/system.slice/system-app.slice/app@1.service", placement{Unit: "app@1.service"}},
		{"/user.slice/user-1000.slice/session-3.scope", placement{Unit: "session-3.scope"}},
		{"/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.service", placement{Unit: "app-x.service"}},
		{"/system.slice/_cpu.service", placement{Unit: "cpu.service"}},
		{"/system.slice/docker-" + id64 + ".scope", placement{Container: id64}},
		{"/docker/" + id64, placement{Container: id64}},
		{"/docker/" + id64 + "/system.slice/inner.service", placement{Container: id64, Unit: "inner.service"}},
		{"/machine.slice/libpod-" + id64 + ".scope/container", placement{Container: id64}},
		{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id64 + ".scope", placement{Container: id64}},
		{"/machine.slice/machine-debian.scope/payload", placement{Container: "debian"}},
		{"/machine.slice/systemd-nspawn@web.service/payload", placement{Container: "web"}},
		{"/lxc.payload.web/system.slice/nginx.service", placement{Container: "web", Unit: "nginx.service"}},
		{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + under + ".slice/cri-containerd-" + id64 + ".scope", placement{PodUID: uid, Container: id64}},
		{"/kubepods.slice/kubepods-pod" + under + ".slice/crio-" + id64 + ".scope", placement{PodUID: uid, Container: id64}},
		{"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + under + ".slice/docker-" + id64 + ".scope", placement{PodUID: uid, Container: id64}},
		{"/kubepods/besteffort/pod" + uid + "/" + id64, placement{PodUID: uid, Container: id64}},
		{"/kubelet.slice/kubelet.service/kubepods/pod" + uid + "/" + id64, placement{PodUID: uid, Container: id64}},
		{"/../../kubepods/pod" + uid + "/crio-" + id64, placement{PodUID: uid, Container: id64}},
		// kind: a node that is itself a container
		{"/docker/" + strings.Repeat("ab", 32) + "/kubelet/kubepods/pod" + uid + "/" + id64, placement{PodUID: uid, Container: id64}},
		{"/podium/podcast", placement{}},
	} {
		got := parsePlacement(c.path)
		if got.Unit != c.want.Unit || got.PodUID != c.want.PodUID || got.Container != c.want.Container {
			t.Errorf("parsePlacement(%q) = %+v, want %+v", c.path, got, c.want)
		}
	}
}

func TestPlacementOfHierarchies(t *testing.T) {
	for _, c := range []struct {
		what  string
		paths []string
		want  placement
	}{
		{"hybrid: systemd's own hierarchy knows the unit", []string{"/", "/system.slice/a.service", "/system.slice/a.service"}, placement{Unit: "a.service"}},
		{"the cgroupfs driver leaves the unified hierarchy alone", []string{"/system.slice/docker.service", "/docker/" + id64, "/docker/" + id64}, placement{Container: id64}},
		{"only memory", []string{"/", "/kubepods/pod" + uid + "/" + id64}, placement{PodUID: uid, Container: id64}},
		{"none", nil, placement{}},
	} {
		got := placementOf(c.paths)
		if got.Unit != c.want.Unit || got.PodUID != c.want.PodUID || got.Container != c.want.Container {
			t.Errorf("%s: %+v, want %+v", c.what, got, c.want)
		}
	}
	nested := placementOf([]string{"/user.slice/user-1.slice/user@1.service/app.slice/x.service"})
	if want := []string{"user@1.service", "x.service"}; !slices.Equal(nested.Units, want) {
		t.Errorf("units of a nested path are %q, want %q", nested.Units, want)
	}
}

func FuzzParsePlacement(f *testing.F) {
	f.Add("/kubepods.slice/kubepods-burstable-pod12345678.slice/cri-containerd-" + id64 + ".scope")
	f.Add("/system.slice/a.service")
	f.Fuzz(func(t *testing.T, path string) {
		p := parsePlacement(path)
		for _, s := range []string{p.Unit, p.Container} {
			if !strings.Contains(path, s) {
				t.Errorf("%q is not in %q", s, path)
			}
		}
		if strings.Contains(p.Unit+p.Container+p.PodUID, "/") {
			t.Errorf("%+v of %q holds a slash", p, path)
		}
		if utf8.ValidString(path) && !utf8.ValidString(p.PodUID) {
			t.Errorf("%q is not UTF-8", p.PodUID)
		}
	})
}
