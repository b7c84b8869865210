package main

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// A program of Go's carries the name, the file and the lines of each function, for the traces of panics:
// a tenth of what goes over the wire, which people download and never read. What the runtime needs of its
// tables to find stack frames stays.
//
// The tables are those of Go 1.20 and later, as runtime/symtab.go and runtime2.go have them; all is
// little-endian.
const (
	tableMagic  = 0xfffffff1
	pointerSize = 8
	instruction = 1 // the least size of one

	// in the header, as words after its first
	headerFuncs    = 0
	headerNames    = 3
	headerUnits    = 4
	headerFiles    = 5
	headerTables   = 6
	headerFuncData = 7

	// in a function's record, in bytes
	funcName, funcStack, funcFile, funcLines, funcTables, funcUnit, funcStart, funcSize = 4, 16, 20, 24, 28, 32, 36, 44
)

var errTables = errors.New("the program has no tables of functions that are known: of another release of Go?")

// dropSymbols overwrites the names, files and lines of a WebAssembly program's functions with zeros.
func dropSymbols(program []byte) (err error) {
	segments, err := dataSegments(program)
	if err != nil {
		return err
	}
	defer func() {
		if recover() != nil { // an index that leads nowhere
			err = errTables
		}
	}()
	memory := load(segments)
	if err := dropFrom(memory); err != nil {
		return err
	}
	for _, s := range segments {
		copy(s.bytes, memory[s.at:])
	}
	return nil
}

func dropFrom(memory []byte) error {
	magic := binary.LittleEndian.AppendUint32(nil, tableMagic)
	at := bytes.Index(memory, append(magic, 0, 0, instruction, pointerSize))
	if at < 0 {
		return errTables
	}
	header := memory[at:]
	word := func(i int) int { return int(binary.LittleEndian.Uint64(header[8+8*i:])) }
	names, units, files := word(headerNames), word(headerUnits), word(headerFiles)
	tables, funcs := header[word(headerTables):word(headerFuncData)], header[word(headerFuncData):]
	needed := make([]bool, len(tables))
	var lines [][]int // where a table begins, and ends
	for i := range word(headerFuncs) {
		f := funcs[binary.LittleEndian.Uint32(funcs[8*i+4:]):]
		field := func(at int) int { return int(binary.LittleEndian.Uint32(f[at:])) }
		mark(needed, tables, field(funcStack))
		for k := range field(funcTables) {
			mark(needed, tables, field(funcSize+4*k))
		}
		for _, begin := range []int{field(funcFile), field(funcLines)} {
			lines = append(lines, []int{begin, tableEnd(tables, begin)})
		}
		for _, at := range []int{funcName, funcFile, funcLines, funcUnit, funcStart} {
			clear(f[at : at+4]) // none
		}
	}
	clear(header[names:units])
	clear(header[files:word(headerTables)])
	for _, table := range lines {
		for i := table[0]; i < table[1]; i++ {
			if !needed[i] {
				tables[i] = 0
			}
		}
	}
	return nil
}

// mark notes that the table which begins there is needed; tables that are alike are one. 0 is none.
func mark(needed []bool, tables []byte, begin int) {
	end := tableEnd(tables, begin)
	for i := begin; i < end; i++ {
		needed[i] = true
	}
}

// tableEnd returns where a table ends: it is pairs of numbers, and ends with a zero that is not the first.
func tableEnd(tables []byte, begin int) int {
	if begin == 0 {
		return 0
	}
	for i := begin; ; {
		value, n := binary.Uvarint(tables[i:])
		if value == 0 && i > begin {
			return i + n
		}
		_, m := binary.Uvarint(tables[i+n:])
		i += n + m
	}
}

// segment is a part of what a program finds in its memory.
type segment struct {
	at    int
	bytes []byte // of the program
}

func load(segments []segment) []byte {
	size := 0
	for _, s := range segments {
		size = max(size, s.at+len(s.bytes))
	}
	memory := make([]byte, size)
	for _, s := range segments {
		copy(memory[s.at:], s.bytes)
	}
	return memory
}

// dataSegments returns the segments of a program's data section (WebAssembly Core 1.0, 5.5.14).
func dataSegments(program []byte) (segments []segment, err error) {
	const preamble, dataSection, i32Const = 8, 11, 0x41
	defer func() {
		if recover() != nil {
			err = errors.New("the program is not what Go's linker writes")
		}
	}()
	r := reader{program[preamble:]}
	for len(r.rest) > 0 {
		id := r.take(1)[0]
		section := reader{r.take(r.number())}
		if id != dataSection {
			continue
		}
		for range section.number() {
			if head := section.take(2); head[0] != 0 || head[1] != i32Const {
				return nil, errors.New("a data segment has no constant address")
			}
			at := section.number() // it is signed, and positive
			section.take(1)        // end of the expression
			segments = append(segments, segment{at, section.take(section.number())})
		}
	}
	return segments, nil
}

// reader reads a program; past its end it panics.
type reader struct{ rest []byte }

func (r *reader) take(n int) []byte {
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) number() int {
	v, n := binary.Uvarint(r.rest)
	r.take(n)
	return int(v)
}
