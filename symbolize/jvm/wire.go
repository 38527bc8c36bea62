package jvm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// version1Args is the number of arguments that a request of version 1 always has; each may have 1024 bytes.
const (
	version1Args   = 3
	version1ArgLen = 1024
)

// request encodes a command. Version 1, of all JVMs: "1\0cmd\0a\0b\0c\0". Version 2, of JDK 24 and later, can also have options
// and any number of arguments: "2\0<length of the rest>\0cmd options\0a\0…".
func request(version2 bool, cmd, options string, args []string) ([]byte, error) {
	for _, part := range append([]string{cmd, options}, args...) {
		if strings.IndexByte(part, 0) >= 0 {
			return nil, fmt.Errorf("command %q: a zero byte in %q", cmd, part)
		}
	}
	var body bytes.Buffer
	if version2 {
		if options != "" {
			cmd += " " + options
		}
		body.WriteString(cmd + "\x00")
		for _, arg := range args {
			body.WriteString(arg + "\x00")
		}
		return append([]byte("2\x00"+strconv.Itoa(body.Len())+"\x00"), body.Bytes()...), nil
	}
	if len(args) > version1Args {
		return nil, fmt.Errorf("command %q: more than %d arguments", cmd, version1Args)
	}
	body.WriteString("1\x00" + cmd + "\x00")
	for i := range version1Args {
		if i < len(args) {
			if len(args[i]) > version1ArgLen {
				return nil, fmt.Errorf("command %q: an argument of more than %d bytes", cmd, version1ArgLen)
			}
			body.WriteString(args[i])
		}
		body.WriteByte(0)
	}
	return body.Bytes(), nil
}

// readReply reads all that r has, at most limit bytes. It reads in big pieces: a JVM that streams its answer stands
// still until it is read.
func readReply(r io.Reader, limit int) ([]byte, error) {
	reply := make([]byte, 0, 256<<10)
	for {
		n, err := r.Read(reply[len(reply):cap(reply)])
		reply = reply[:len(reply)+n]
		switch {
		case errors.Is(err, io.EOF):
			return reply, nil
		case err != nil:
			return nil, err
		case len(reply) > limit:
			return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
		case len(reply) == cap(reply):
			reply = append(make([]byte, 0, 2*cap(reply)), reply...)
		}
	}
}

// parseReplyCode splits "0\ntext". Any other number comes with a text that says what is wrong.
func parseReplyCode(cmd string, reply []byte) ([]byte, error) {
	line, text, ok := bytes.Cut(reply, []byte("\n"))
	code, err := strconv.Atoi(string(line[:min(len(line), 12)]))
	if err != nil || !ok && len(reply) > 12 {
		if len(reply) == 0 {
			return nil, fmt.Errorf("%w: %s: it closed the connection without an answer "+
				"(it accepts its own user only, or is ending)", ErrRefused, cmd)
		}
		return nil, fmt.Errorf("%w: %s: the answer does not begin with a code: %q", ErrRefused, cmd, clip(string(reply[:min(len(reply), 64)]), 64))
	}
	if code != 0 {
		said := strings.Join(strings.Fields(javaString(clip(string(text[:min(len(text), 512)]), 512))), " ")
		return nil, fmt.Errorf("%w: %s: code %d %q", ErrRefused, cmd, code, said)
	}
	return text, nil
}
