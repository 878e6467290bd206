package ociarchive

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

// Main is the command line: mkimage OUT.tar --ref REF --entrypoint /bin/x [--cmd ARG]... [--user 65532:65532] [--layer] SOURCE=INSIDE...
// It returns the exit status.
func Main(args []string) int {
	if err := mkimage(args); err != nil {
		fmt.Fprintf(os.Stderr, "mkimage: %v\n", err)
		return 1
	}
	return 0
}

type repeated []string

func (r *repeated) String() string         { return strings.Join(*r, " ") }
func (r *repeated) Set(value string) error { *r = append(*r, value); return nil }

func mkimage(args []string) error {
	flags := flag.NewFlagSet("mkimage", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: mkimage --ref REF --entrypoint ARG... [flags] OUT.tar SOURCE=INSIDE... [-- SOURCE=INSIDE...]\nSOURCE is a file or a directory; a program keeps its x bit; `--` begins a new layer.")
		flags.PrintDefaults()
	}
	image := Image{}
	flags.StringVar(&image.Ref, "ref", "", "the image's whole reference")
	flags.StringVar(&image.User, "user", "65532:65532", "UID:GID that the container runs as")
	flags.Var((*repeated)(&image.Entrypoint), "entrypoint", "one word of the entry point; may be repeated")
	flags.Var((*repeated)(&image.Cmd), "cmd", "one word of the default arguments; may be repeated")
	flags.Var((*repeated)(&image.Env), "env", "NAME=value; may be repeated")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() < 2 || image.Ref == "" {
		flags.Usage()
		return fmt.Errorf("wants --ref, OUT.tar and at least one SOURCE=INSIDE")
	}
	layer := []File{}
	for _, argument := range flags.Args()[1:] {
		if argument == "--" {
			image.Layers = append(image.Layers, layer)
			layer = []File{}
			continue
		}
		files, err := fromArgument(argument)
		if err != nil {
			return err
		}
		layer = append(layer, files...)
	}
	image.Layers = append(image.Layers, layer)
	return Write(flags.Arg(0), image)
}

func fromArgument(argument string) ([]File, error) {
	source, inside, found := strings.Cut(argument, "=")
	if !found {
		return nil, fmt.Errorf("%q wants the form SOURCE=INSIDE", argument)
	}
	info, err := os.Stat(source)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return Tree(inside, source)
	}
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	return []File{{Path: inside, Source: source, Mode: mode}}, nil
}
