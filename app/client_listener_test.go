package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// answering serves an answer of so many bytes behind a clientListener, and gives what
// writing it ended with.
type answering struct {
	*testing.T
	listener *clientListener
	web      *http.Server
	began    chan struct{}
	ended    chan error
	log      *lines
}

func answer(t *testing.T, size int, patience time.Duration) *answering {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &answering{T: t, began: make(chan struct{}, 1), ended: make(chan error, 1), log: &lines{}}
	a.listener = newClientListener(listener, slog.New(slog.NewTextHandler(a.log, nil)), patience)
	a.web = &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a.began <- struct{}{}
		w.Header().Set("Content-Length", fmt.Sprint(size))
		_, err := w.Write(bytes.Repeat([]byte("x"), size))
		a.ended <- err
	})}
	go func() { _ = a.web.Serve(a.listener) }()
	t.Cleanup(func() { _ = a.web.Close() })
	return a
}

// ask sends a request over a connection with small buffers, and reads none of the
// answer.
func (a *answering) ask() net.Conn {
	a.Helper()
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var fault error
		err := raw.Control(func(fd uintptr) { fault = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
		if err == nil {
			err = fault
		}
		return err
	}}
	conn, err := dialer.DialContext(a.Context(), "tcp", a.listener.Addr().String())
	if err != nil {
		a.Fatal(err)
	}
	a.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		a.Fatal(err)
	}
	return conn
}

const largeAnswer = 32 << 20 // more than the system keeps for two sockets

// TestStuckReader: a client that reads nothing of its answer is closed, whatever the
// system could still hold for it.
func TestStuckReader(t *testing.T) {
	a := answer(t, largeAnswer, 50*time.Millisecond)
	conn := a.ask()
	if err := <-a.ended; err == nil {
		t.Fatal("all of the answer was written, though nobody read it")
	}
	if _, err := io.Copy(io.Discard, conn); err == nil {
		t.Error("the connection ends as if the answer were whole")
	}
	if !strings.Contains(a.log.String(), "does not read its answer") {
		t.Errorf("log says %q", a.log.String())
	}
}

// TestSlowReader: a client that reads little by little gets all of its answer, though
// that takes much longer than one may read nothing.
func TestSlowReader(t *testing.T) {
	const patience = time.Second
	a := answer(t, largeAnswer, patience)
	conn := a.ask()
	began := time.Now()
	n := 0
	piece := make([]byte, 64<<10)
	for n < largeAnswer {
		if time.Since(began) < 3*patience { // then as fast as it can
			time.Sleep(patience / 50)
		}
		read, err := conn.Read(piece)
		n += read
		if err != nil {
			t.Fatalf("answer ends after %d bytes with %v", n, err)
		}
	}
	if err := <-a.ended; err != nil {
		t.Error(err)
	}
}

// TestStuckReaderAtStop: a client that reads nothing does not cost a stop its whole
// time.
func TestStuckReaderAtStop(t *testing.T) {
	a := answer(t, largeAnswer, 0)
	a.web.RegisterOnShutdown(func() { a.listener.shorten(50 * time.Millisecond) })
	a.ask()
	<-a.began
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := a.web.Shutdown(ctx); err != nil {
		t.Errorf("the stop took its whole time: %v", err)
	}
	if err := <-a.ended; err == nil {
		t.Error("all of the answer was written, though nobody read it")
	}
}

// refusing is a listener out of files.
type refusing struct {
	net.Listener
	err error
}

func (r *refusing) Accept() (net.Conn, error) { return nil, r.err }

// TestAcceptErrors are told at once, then once in a while, with the remedy; a listener
// that is closed is none.
func TestAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said strings.Builder
		listener := &refusing{err: &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", unix.EMFILE)}}
		f := newClientListener(listener, slog.New(slog.NewTextHandler(&said, nil)), 0)
		for range 25 {
			if _, err := f.Accept(); err == nil {
				t.Fatal("there is a connection")
			}
			time.Sleep(time.Second)
		}
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		if len(lines) != 3 {
			t.Fatalf("25 failures in 25 seconds are %d lines: %q", len(lines), lines)
		}
		for i, want := range []string{"failures=1", "failures=10", "failures=10"} {
			if !strings.Contains(lines[i], "level=WARN") || !strings.Contains(lines[i], "ulimit -n") || !strings.Contains(lines[i], want) {
				t.Errorf("line %q; want %q", lines[i], want)
			}
		}
		said.Reset()
		listener.err = net.ErrClosed
		time.Sleep(time.Minute)
		if _, err := f.Accept(); err == nil || said.Len() > 0 {
			t.Errorf("closed listener: %v, log %q", err, said.String())
		}
	})
}
