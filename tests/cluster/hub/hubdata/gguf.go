package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// model is what goes into a GGUF file, sound or not: the counts and dimensions are written as they are given.
type model struct {
	metadata []pair
	tensors  []tensor
	// nTensors and nPairs stand in the header instead of the true counts when they are not 0.
	nTensors uint64
	nPairs   uint64
}

type pair struct {
	key   string
	value any
}

// tensor is an f32 tensor; its first dimension is the one that is contiguous in memory.
type tensor struct {
	name string
	dims []uint64
	data []float32
}

const (
	typeUint32  = uint32(4)
	typeInt32   = uint32(5)
	typeFloat32 = uint32(6)
	typeString  = uint32(8)
	typeArray   = uint32(9)
	alignment   = 32
)

// encode writes version 3 of the format, little endian.
func (m model) encode() []byte {
	var out writer
	out.WriteString("GGUF")
	out.u32(3)
	out.u64(orElse(m.nTensors, uint64(len(m.tensors))))
	out.u64(orElse(m.nPairs, uint64(len(m.metadata))))
	for _, p := range m.metadata {
		out.text(p.key)
		out.value(p.value)
	}
	offset := uint64(0)
	for _, t := range m.tensors {
		out.text(t.name)
		out.u32(uint32(len(t.dims)))
		for _, dim := range t.dims {
			out.u64(dim)
		}
		out.u32(0)
		out.u64(offset)
		offset = padded(offset + 4*uint64(len(t.data)))
	}
	out.pad()
	for _, t := range m.tensors {
		for _, x := range t.data {
			out.u32(math.Float32bits(x))
		}
		out.pad()
	}
	return out.Bytes()
}

func orElse(given, other uint64) uint64 {
	if given != 0 {
		return given
	}
	return other
}

func padded(n uint64) uint64 { return (n + alignment - 1) / alignment * alignment }

type writer struct{ bytes.Buffer }

func (w *writer) u32(n uint32) { w.Write(binary.LittleEndian.AppendUint32(nil, n)) }
func (w *writer) u64(n uint64) { w.Write(binary.LittleEndian.AppendUint64(nil, n)) }
func (w *writer) pad()         { w.Write(make([]byte, padded(uint64(w.Len()))-uint64(w.Len()))) }

func (w *writer) text(s string) {
	w.u64(uint64(len(s)))
	w.WriteString(s)
}

func (w *writer) value(value any) {
	switch v := value.(type) {
	case uint32:
		w.u32(typeUint32)
		w.u32(v)
	case float32:
		w.u32(typeFloat32)
		w.u32(math.Float32bits(v))
	case string:
		w.u32(typeString)
		w.text(v)
	case []string:
		w.u32(typeArray)
		w.u32(typeString)
		w.u64(uint64(len(v)))
		for _, s := range v {
			w.text(s)
		}
	case []int32:
		w.u32(typeArray)
		w.u32(typeInt32)
		w.u64(uint64(len(v)))
		for _, n := range v {
			w.u32(uint32(n))
		}
	default:
		panic(fmt.Sprintf("no GGUF type for %T", value))
	}
}
