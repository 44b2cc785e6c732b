package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"scored/server"
)

// App is a server that has its address. Run serves there.
type App struct {
	options  Options
	listener net.Listener
}

// New checks the Options and listens on the address, which Run closes.
func New(o Options) (*App, error) {
	if err := o.Check(); err != nil {
		return nil, UsageError{Err: err}
	}
	listener, err := listen(o.Host, o.Port)
	if err != nil {
		return nil, err
	}
	return &App{options: o, listener: listener}, nil
}

// Addr returns the address the server listens on. With Port 0 the system chose it.
func (a *App) Addr() net.Addr { return a.listener.Addr() }

// Run loads the model and serves until ctx ends. Then it answers the admitted requests,
// refuses the rest, and closes everything in the reverse order of its opening. If a
// device is lost, it returns a LostError: nothing of the device is closed, and the
// process should end. Run may be called once.
func (a *App) Run(ctx context.Context) error {
	log := a.options.Log
	tellFiles(log)
	start, err := NewStart(a.options)
	if err != nil {
		return errors.Join(err, a.listener.Close())
	}
	err = a.serve(ctx, start)
	if lost := (*LostError)(nil); errors.As(err, &lost) {
		return err // nothing of a lost device may be closed
	}
	err = errors.Join(err, start.Close())
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// listen opens the listener.
func listen(host string, port int) (net.Listener, error) {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	listener, err := net.Listen("tcp", address)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("address is not free: %w; is another copy running? choose another --port",
			err)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("address %s may not be used: %w; choose a --port above 1023", address, err)
	}
	return nil, fmt.Errorf("address %s cannot be listened on: %w; check --host and --port", address,
		err)
}

// serve answers 503 until the model is loaded, then requests, until ctx ends. What it
// opens is for start to close.
func (a *App) serve(ctx context.Context, start *Start) error {
	began, log := time.Now(), a.options.Log
	start.OnClose("listener", func() error {
		if err := a.listener.Close(); !errors.Is(err, net.ErrClosed) { // as the HTTP server has done
			return err
		}
		return nil
	})
	var metrics *server.Metrics
	if a.options.EnableMetrics {
		metrics = server.NewMetrics(a.options.Version)
	}
	keys, err := openKeys(a.options.APIKeyFile, log, &start.opened)
	if err != nil {
		return err
	}
	api, err := a.options.API(metrics, keys)
	if err != nil {
		return err
	}
	web, failed := a.openWeb(api)
	start.OnClose("HTTP server", web.Close)

	m, err := start.Load(ctx, metrics)
	if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())) {
		log.Info("stopping before the server was ready",
			"after", time.Since(began).Round(time.Millisecond))
		return nil
	}
	if err != nil {
		return err
	}
	start.OnClose("memory", newReleaser(goMemory, freeMemory).close)
	api.Serve(m)
	log.Info("The server is fired up and ready to roll!", "address", a.Addr().String(),
		"took", time.Since(began).Round(time.Millisecond))
	select {
	case err := <-failed:
		return fmt.Errorf("server stopped: %w", err)
	case <-m.Scorer.Lost():
		return loseDevice(web, m.Scorer.Err())
	case <-ctx.Done():
	}
	timeout := a.options.DrainTimeout
	log.Info("stopping: admitted requests are answered, new ones refused", "timeout", timeout)
	return drain(m, web, timeout, log)
}

// openWeb serves the handler on a goroutine, until the server is closed. failed gets
// why it stopped.
func (a *App) openWeb(handler http.Handler) (web *http.Server, failed <-chan error) {
	log := a.options.Log
	web = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout: 65 * time.Second, ReadTimeout: 5 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	new(silent).watch(web)
	front := newFront(a.listener, log, a.options.WriteTimeout)
	web.RegisterOnShutdown(func() { front.hurry(stopPatience) })
	stopped := make(chan error, 1)
	go func() { stopped <- web.Serve(front) }()
	return web, stopped
}

// stopPatience is how long a stop waits for a client that reads nothing.
const stopPatience = 2 * time.Second

// drain answers what was admitted, for at most the timeout.
func drain(m *server.Model, web *http.Server, timeout time.Duration, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err := m.Scorer.Drain(ctx)
	if web.Shutdown(ctx) != nil {
		log.Warn("connections are closed that are still in use: --drain-timeout is over",
			"timeout", timeout)
	}
	if lost := m.Scorer.Err(); lost != nil {
		return loseDevice(web, lost)
	}
	return err
}
