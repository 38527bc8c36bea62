package jvm

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// playJVM maps a file named libjvm.so, handles SIGQUIT, and serves the attach socket in some bad way, until its input ends.
func playJVM(mode string) error {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGQUIT)
	if lib := os.Getenv("VMALEAK_TEST_LIB"); lib != "" {
		f, err := os.Open(lib)
		if err != nil {
			return err
		}
		if _, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE); err != nil {
			return err
		}
	}
	if root := os.Getenv("VMALEAK_TEST_ROOT"); root != "" {
		if err := unix.Chroot(root); err != nil {
			return err
		}
	}
	if mode != "silent" {
		path := fmt.Sprintf("/tmp/.java_pid%d", os.Getpid())
		listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			return err
		}
		defer os.Remove(path)
		go func() {
			for {
				conn, err := listener.AcceptUnix()
				if err != nil {
					return
				}
				serve(conn, mode)
			}
		}()
	}
	fmt.Println("READY")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

func serve(conn *net.UnixConn, mode string) {
	defer conn.Close()
	conn.Read(make([]byte, 4096))
	switch mode {
	case "flood":
		block := bytes.Repeat([]byte("0\n"), 1<<19)
		for {
			if _, err := conn.Write(block); err != nil {
				return
			}
		}
	case "mute":
		io.Copy(io.Discard, conn)
	case "garbage":
		conn.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	case "hangup":
	case "credentials":
		raw, err := conn.SyscallConn()
		if err != nil {
			return
		}
		raw.Control(func(fd uintptr) {
			peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
			fmt.Fprintln(conn, 0)
			fmt.Fprintln(conn, peer.Uid, peer.Gid, err)
		})
	}
}
