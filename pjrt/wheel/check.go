package wheel

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"runtime"
)

// Check returns an error unless the file is an ELF shared object for this machine. It
// finds what dlopen would fail on, or crash on, and names the remedy, which dlopen does
// not. It reads the file's headers only, so a file that is damaged behind them passes.
func Check(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("plugin %s does not exist: give the path of a PJRT plugin, or cpu, cuda "+
			"or tpu", path)
	case err != nil:
		return fmt.Errorf("plugin %s cannot be read: %w", path, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("plugin %s is not a file: give the path of the .so itself", path)
	}
	file, err := elf.Open(path)
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("plugin %s may not be read: change its permissions", path)
	}
	if err != nil {
		return fmt.Errorf("plugin %s is not an ELF shared object, or is cut short (%w): remove it "+
			"and fetch it again", path, err)
	}
	defer file.Close()
	if file.Type != elf.ET_DYN {
		return fmt.Errorf("plugin %s is an ELF file but not a shared object: give a PJRT plugin", path)
	}
	if want := machine(); file.Machine != want {
		return fmt.Errorf("plugin %s is built for %s and this program for %s: fetch the plugin of "+
			"this architecture", path, file.Machine, want)
	}
	return nil
}

// machine is the ELF name of the architecture that this program is built for; EM_NONE,
// which no file has, where no plugin is known.
func machine() elf.Machine {
	switch runtime.GOARCH {
	case "amd64":
		return elf.EM_X86_64
	case "arm64":
		return elf.EM_AARCH64
	default:
		return elf.EM_NONE
	}
}
