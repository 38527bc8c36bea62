package symbolize

import (
	"strings"
	"testing"
)

func TestMainClass(t *testing.T) {
	for _, c := range []struct{ what, cmdline, want, shown string }{
		{"a class on the class path", "java|-cp|/a:/b|-Xmx1g|org.acme.Main|arg|-jar|x.jar", "org.acme.Main", "Main"},
		{"a class in the default package", "java|Main", "Main", "Main"},
		{"a class with slashes", "java|org/acme/Main", "org.acme.Main", "Main"},
		{"a nested class", "java|-classpath|x|org.acme.Outer$Inner", "org.acme.Outer$Inner", "Outer$Inner"},
		{"a jar", "/usr/bin/java|-Xms1g|-jar|/opt/app/service-1.2.jar|--port|80", "service-1.2.jar", "service-1.2.jar"},
		{"a module and class", "java|-p|mods|--add-modules|ALL-SYSTEM|-m|acme.app/org.acme.Main", "org.acme.Main", "Main"},
		{"a module alone", "java|--module-path|mods|--module|acme.app", "acme.app", "app"},
		{"a module after =", "java|--module-path=mods|--module=acme.app/org.acme.Main", "org.acme.Main", "Main"},
		{"opens with a separate value", "java|--add-opens|java.base/java.nio=ALL-UNNAMED|--add-exports|a/b=c|Main", "Main", "Main"},
		{"opens after =", "java|--add-opens=java.base/java.nio=ALL-UNNAMED|Main", "Main", "Main"},
		{"native access and source", "java|--enable-native-access|ALL-UNNAMED|--source|21|/x/Hello.java", "Hello.java", "Hello.java"},
		{"an argument file before the class", "java|@/etc/opts|Main", "Main", "Main"},
		{"everything in an argument file", "java|@/etc/opts", "", ""},
		{"argument files switched off", "java|--disable-@files|@Main", "@Main", "@Main"},
		{"a service wrapper", "java|-Xmx4g|-classpath|x|org.tanukisoftware.wrapper.WrapperSimpleApp|org.apache.james.app.spring.JamesAppSpringMain", "org.apache.james.app.spring.JamesAppSpringMain", "JamesAppSpringMain"},
		{"a service wrapper with a jar", "java|org.tanukisoftware.wrapper.WrapperJarApp|/opt/x.jar", "x.jar", "x.jar"},
		{"only options", "java|-version", "", ""},
		{"-jar without a value", "java|-jar", "", ""},
		{"-cp without a value", "java|-cp", "", ""},
		{"the launcher alone", "java", "", ""},
		{"nothing", "", "", ""},
		{"agents and system properties", "java|-javaagent:/a.jar=x|-agentlib:jdwp=y|-Dx=y|-XX:+UseG1GC|-ea|org.acme.Main", "org.acme.Main", "Main"},
	} {
		got := MainClass(strings.Split(c.cmdline, "|"))
		if got != c.want || shortName(got) != c.shown {
			t.Errorf("%s: MainClass(%q) = %q, shown %q, want %q, shown %q", c.what, c.cmdline, got, shortName(got), c.want, c.shown)
		}
	}
	if got := MainClass(nil); got != "" {
		t.Errorf("MainClass(nil) = %q", got)
	}
}
