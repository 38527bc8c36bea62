package hotspot

import (
	"strings"
	"testing"
)

func TestClassNames(t *testing.T) {
	for internal, want := range map[string]string{
		"java/lang/String":                    "java.lang.String",
		"Main":                                "Main",
		"a/Outer$Inner$1":                     "a.Outer$Inner$1",
		"a/Foo$$Lambda+0x00007f2c3c000a00":    "a.Foo$$Lambda/<hidden>",
		"a/Foo$$Lambda$14+0x0000000800c03000": "a.Foo$$Lambda/<hidden>",
		"a/Foo$$Lambda$14":                    "a.Foo$$Lambda/<hidden>",
		"java/lang/invoke/LambdaForm$DMH+0x00007f2c3c0000": "java.lang.invoke.LambdaForm$DMH/<hidden>",
		"a/Foo$$Lambda$x":     "a.Foo$$Lambda$x",
		"a/Foo+0xyz":          "a.Foo+0xyz",
		"jdk/proxy1/$Proxy12": "jdk.proxy1.$Proxy12",
	} {
		if got := className(internal); got != want {
			t.Errorf("%s is %s instead of %s", internal, got, want)
		}
	}
}

func TestParameters(t *testing.T) {
	for descriptor, want := range map[string]string{
		"()V":                                 "()",
		"(I)V":                                "(int)",
		"(BCDFJSZ)Ljava/lang/String;":         "(byte,char,double,float,long,short,boolean)",
		"(ILjava/lang/String;[[B[La/b$C;)[[J": "(int,java.lang.String,byte[][],a.b$C[])",
		"(La/F$$Lambda+0x00007f;)V":           "(a.F$$Lambda/<hidden>)",
	} {
		if got, err := parameters(descriptor); err != nil || got != want {
			t.Errorf("%s is %q, %v instead of %s", descriptor, got, err, want)
		}
	}
	for _, descriptor := range []string{"", "V", "(", "()", "(I", "(V)V", "([V)V", "()[V", "(X)V", "(L;)V", "(La)V", "(La.b;)V", "()VV", "(I)V ", "([)V",
		"(" + strings.Repeat("[", 256) + "I)V"} {
		if got, err := parameters(descriptor); err == nil {
			t.Errorf("%q is %s", descriptor, got)
		}
	}
}

func FuzzParameters(f *testing.F) {
	f.Add("(ILjava/lang/String;[[B)V")
	f.Fuzz(func(t *testing.T, descriptor string) {
		types, err := parameters(descriptor)
		if err == nil && (!strings.HasPrefix(types, "(") || !strings.HasSuffix(types, ")") || strings.Contains(types, ";")) {
			t.Fatalf("%q is %q", descriptor, types)
		}
		if len(types) > 8*len(descriptor)+maxDimensions*2*len(descriptor) {
			t.Fatalf("%d bytes become %d", len(descriptor), len(types))
		}
	})
}
