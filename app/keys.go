package app

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"scored/server"
)

// openKeys reads the file of keys, and again on each SIGHUP until opened is closed: so
// keys can be changed without a restart. A file that is wrong at a SIGHUP changes
// nothing. The keys are nil where there is no file. opened ends the goroutine that waits
// for signals.
func openKeys(file string, log *slog.Logger, opened *cleanups) (*server.Keys, error) {
	if file == "" {
		return nil, nil
	}
	keys := &server.Keys{}
	if err := readKeys(keys, file); err != nil {
		return nil, UsageError{Err: err}
	}
	hangups, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(ended)
		for range hangups {
			if err := readKeys(keys, file); err != nil {
				log.Error("keys stay as they were", "error", err)
			} else {
				log.Info("keys have been read again", "file", file)
			}
		}
	}()
	opened.add("keys", func() error {
		signal.Stop(hangups)
		close(hangups)
		<-ended
		return nil
	})
	return keys, nil
}

// readKeys replaces the keys by those of the file. After an error they are as before.
func readKeys(keys *server.Keys, path string) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("flag --api-key-file: %w; name a file that holds a key in each line", err)
	}
	if err := keys.Read(file); err != nil {
		return fmt.Errorf("flag --api-key-file: %w", err)
	}
	return nil
}
