package content

import (
	"bytes"
	"regexp"
	"unicode/utf8"
)

// mailHeaders are the header fields of mail, in lower case; those that HTTP has too are left out.
var mailHeaders = map[string]bool{"received": true, "message-id": true, "mime-version": true, "subject": true, "to": true,
	"cc": true, "return-path": true, "delivered-to": true, "dkim-signature": true, "content-transfer-encoding": true,
	"reply-to": true, "in-reply-to": true, "references": true, "list-id": true, "authentication-results": true}

var (
	httpLine    = regexp.MustCompile(`^(?:(?:GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH) \S+ HTTP/[12]|HTTP/[12](?:\.[01])? \d{3})`)
	sessionLine = regexp.MustCompile(`^(?:(?i:MAIL FROM:|RCPT TO:)\s?<|EHLO \S|HELO \S|250[- ]|220[- ]\S|354 |\* (?:OK|CAPABILITY|FLAGS)|\* \d+ (?:FETCH|EXISTS|RECENT|EXPUNGE)|\S{1,20} (?:UID )?(?:FETCH|SEARCH|SELECT|APPEND|STORE|LOGIN) )`)
	markup      = regexp.MustCompile(`^\s*(?:<\?xml |<!DOCTYPE |<html)`)
	base64Line  = regexp.MustCompile(`^[A-Za-z0-9+/]{59,}={0,2}$`)
)

// textKind tells which format the lines of a page have, "" if none is known and the page as a whole is not text.
func textKind(p []byte, nonzero int, isText bool) string {
	headers := map[string]bool{}
	var http, session, base64, all int
	xml := false
	eachLine(p, func(_ int, line []byte) {
		all += len(line)
		if name, _, ok := bytes.Cut(line[:min(len(line), 40)], []byte(":")); ok {
			if name := string(bytes.ToLower(name)); mailHeaders[name] {
				headers[name] = true
			}
		}
		switch {
		case httpLine.Match(line):
			http++
		case sessionLine.Match(line):
			session++
		case markup.Match(line):
			xml = true
		case base64Line.Match(line):
			base64 += len(line)
		}
	})
	tags, keys := bytes.Count(p, []byte("</")), bytes.Count(p, []byte(`":`))
	switch {
	case len(headers) >= 2:
		return Mail
	case http > 0:
		return HTTP
	case session >= 2:
		return Session
	case !isText || all*2 < nonzero:
		return ""
	case base64*10 >= all*6:
		return Base64
	case xml || tags >= 3:
		return XML
	case keys >= 2 && keys*200 >= all:
		return JSON
	}
	return Text
}

// maxLine is where a line is cut.
const maxLine = 4096

// eachLine calls f with each run of text of at least 4 bytes that no control character interrupts, and its offset.
func eachLine(p []byte, f func(offset int, line []byte)) {
	start := 0
	emit := func(end int) {
		start += notText(p[start:end])
		if end-start >= 4 {
			f(start, p[start:end])
		}
	}
	for i, c := range p {
		switch {
		case !isText(c) || c == '\n' || c == '\r':
			emit(i)
			start = i + 1
		case i-start == maxLine:
			emit(i)
			start = i
		}
	}
	emit(len(p))
}

// notText is how many bytes at the start of a line are of what came before it: the last bytes of a number may look like text.
func notText(line []byte) (n int) {
	const most = 16
	for i := 0; i < min(len(line), most); {
		r, size := utf8.DecodeRune(line[i:])
		i += size
		if r == utf8.RuneError && size == 1 {
			n = i
		}
	}
	return n
}
