package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"scored/pjrt"
	"scored/server"
)

// App is a server that has its address. Run serves there. Close must be called where Run
// is not.
type App struct {
	checked  *Checked
	listener net.Listener
}

// New checks the Options and listens on their address. Errors of the Options are
// UsageErrors.
func New(o Options) (*App, error) {
	checked, err := o.Check()
	if err != nil {
		return nil, err
	}
	return checked.Listen()
}

// Listen listens on the address of the Options.
func (c *Checked) Listen() (*App, error) {
	listener, err := listen(c.options.Host, c.options.Port)
	if err != nil {
		return nil, err
	}
	return &App{checked: c, listener: listener}, nil
}

// Addr returns the address the server listens on. With Port 0 the system chose it.
func (a *App) Addr() net.Addr { return a.listener.Addr() }

// Close gives the address back. Run does so itself: Close is for an App that is not to
// run, and may follow Run. To end a running App, end its context: Close would end it
// with an error.
func (a *App) Close() error {
	if err := a.listener.Close(); !errors.Is(err, net.ErrClosed) { // closed by the HTTP server
		return err
	}
	return nil
}

// Run loads the model and serves until ctx ends. Then it answers the admitted requests,
// refuses the rest, and closes everything in the reverse order of its opening. If a
// device is lost, it returns a LostError: nothing of the device is closed, and the
// process should end. Run may be called once.
func (a *App) Run(ctx context.Context) error {
	log := a.checked.options.Log
	warnOfFewFiles(log)
	start := NewStart(a.checked)
	start.OnClose("listener", a.Close)
	err := start.End(a.serve(ctx, start))
	if err == nil {
		log.Info("stopped")
	}
	return err
}

// serve answers 503 until the model is loaded, then requests, until ctx ends. What it
// opens is for start to close.
func (a *App) serve(ctx context.Context, start *Start) error {
	began, o := time.Now(), a.checked.options
	var metrics *server.Metrics
	if o.EnableMetrics {
		metrics = server.NewMetrics(o.Version)
	}
	keys, err := openKeys(o.APIKeyFile, o.Log, &start.opened)
	if err != nil {
		return err
	}
	api := a.checked.API(metrics, keys)
	// The HTTP server may fail at any time. Its error is then the cause of serving's end.
	serving, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	web := a.openWeb(api, fail)
	start.OnClose("HTTP server", web.Close)

	m, err := a.load(ctx, serving, start, metrics, web)
	if m == nil || err != nil {
		return err
	}
	start.OnClose("memory", newReleaser(goMemory, freeMemory).close)
	api.Serve(m)
	o.Log.Info("The server is fired up and ready to roll!", "address", a.Addr().String(),
		"took", time.Since(began).Round(time.Millisecond))
	select {
	case <-m.Scorer.Lost():
		return loseDevice(web, m.Scorer.Err())
	case <-serving.Done():
	}
	if ctx.Err() == nil {
		return context.Cause(serving)
	}
	return drain(m, web, o.DrainTimeout, o.Log)
}

// load loads the model. Where the server was stopped meanwhile, there is neither a model
// nor an error. serving is ctx, or ends before it with the cause that the HTTP server
// failed.
func (a *App) load(ctx, serving context.Context, start *Start, metrics *server.Metrics,
	web *http.Server) (*server.Model, error) {
	began := time.Now()
	m, err := start.Load(serving, metrics)
	ended := serving.Err()
	switch stopped := ended != nil && (err == nil || errors.Is(err, ended)); { // or err tells more
	case stopped && ctx.Err() == nil:
		return nil, context.Cause(serving)
	case stopped:
		a.checked.options.Log.Info("stopping before the server was ready",
			"after", time.Since(began).Round(time.Millisecond))
		return nil, nil
	case pjrt.Lost(err):
		return nil, loseDevice(web, err)
	}
	return m, err
}

// openWeb serves the handler on a goroutine, which ends when the server is closed or
// shut down. fail then gets the error that it ended with.
func (a *App) openWeb(handler http.Handler, fail context.CancelCauseFunc) *http.Server {
	o := a.checked.options
	web := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout: 65 * time.Second, ReadTimeout: 5 * time.Minute,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)}
	new(unusedConns).watch(web)
	clients := newClientListener(a.listener, o.Log, o.WriteTimeout)
	web.RegisterOnShutdown(func() { clients.shorten(stopWriteTimeout) })
	go func() { fail(fmt.Errorf("server stopped: %w", web.Serve(clients))) }()
	return web
}

// stopWriteTimeout is how long a stop waits for a client that reads nothing.
const stopWriteTimeout = 2 * time.Second

// drain answers what was admitted, for at most the timeout, and closes the connections.
func drain(m *server.Model, web *http.Server, timeout time.Duration, log *slog.Logger) error {
	log.Info("stopping: admitted requests are answered, new ones refused", "timeout", timeout)
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
