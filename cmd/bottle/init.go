package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/claude-bottle/claude-bottle/examples"
)

func newInit(a *app) *cobra.Command {
	return &cobra.Command{
		Use:       "init [" + strings.Join(examples.Names, "|") + "]",
		Short:     initShort,
		Long:      initLong,
		ValidArgs: examples.Names,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		RunE: func(_ *cobra.Command, args []string) error {
			home, err := a.dir()
			if err != nil {
				return err
			}
			if err := home.Ensure(); err != nil {
				return err
			}
			name := examples.Names[0]
			if len(args) > 0 {
				name = args[0]
			}
			files := examples.Files(name)
			for _, file := range slices.Sorted(maps.Keys(files)) {
				path := filepath.Join(home.Bottles(), filepath.FromSlash(file))
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					return err
				}
				if err := writeNew(path, files[file]); err != nil {
					return err
				}
				say("wrote %s", path)
			}
			say("start it with \"bottle up --bottle %s\"", name)
			if name != examples.Names[0] {
				say("what it needs stands at its top")
			}
			return nil
		},
	}
}

// writeNew writes a file that must not exist yet.
func writeNew(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return errFileExists(path)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}
