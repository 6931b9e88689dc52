// Prints chunks that Prometheus' own encoders make, with the samples they were made from, as JSON: what
// test/tsdb/kernel/xor-chunk.test.ts and xor2-chunk.test.ts hold the kernel and its twins against.
//
//	cd test/testdata/xor-chunks/generate && go run . > ../chunks.json && go run . xor2 > ../xor2-chunks.json
//
// Times are decimal strings, values the 16 hexadecimal digits of their bits, so that nothing is rounded on the way.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/rand"
	"os"
	"strconv"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

type sample struct {
	time  int64
	value float64
}

type golden struct {
	Name   string   `json:"name"`
	Times  []string `json:"times"`
	Values []string `json:"values"`
	Chunk  string   `json:"chunk"`
}

const (
	start    = 1_767_225_600_000 // 2026-01-01
	interval = 15_000
	stale    = 0x7ff0000000000002
)

// made calls at for each of count samples.
func made(count int, at func(i int) sample) []sample {
	samples := make([]sample, count)
	for i := range samples {
		samples[i] = at(i)
	}
	return samples
}

func regular(count int, value func(i int) float64) []sample {
	return made(count, func(i int) sample { return sample{start + int64(i)*interval, value(i)} })
}

// withStale makes some samples of every other case stale, as that has codes of its own.
func withStale(i int, samples []sample) []sample {
	for k := range samples {
		if i%2 == 1 && k%7 == 5 {
			samples[k].value = math.Float64frombits(stale)
		}
	}
	return samples
}

// startTime is what a sample's counter began at: never known, the same for all, or another one from some sample on.
func startTime(isXOR2 bool, i, k int, time int64) int64 {
	switch {
	case !isXOR2 || i%4 == 0:
		return 0
	case i%4 == 1:
		return start - 1000
	case i%4 == 2:
		return time - int64(k*k*k)
	default:
		if k < 3 {
			return 0
		}
		return time - int64(1)<<(k%50)
	}
}

func main() {
	random := rand.New(rand.NewSource(3))
	bits := func() float64 { return math.Float64frombits(random.Uint64()) }
	time := int64(start)
	total := 0.0
	cases := []struct {
		name    string
		samples []sample
	}{
		{"one sample", regular(1, func(int) float64 { return 42 })},
		{"two samples", regular(2, func(i int) float64 { return float64(i) })},
		{"a constant, regularly", regular(120, func(int) float64 { return 0.25 })},
		{"a counter of whole numbers", regular(120, func(int) float64 {
			total += float64(random.Intn(2000))
			return total
		})},
		{"a counter with two decimals", regular(120, func(i int) float64 { return math.Round(float64(i)*1234.567) / 100 })},
		{"random bits", regular(120, func(int) float64 { return bits() })},
		{"the whole range of windows", regular(130, func(i int) float64 { return math.Float64frombits(uint64(1) << (i % 64)) })},
		{"special values", regular(16, func(i int) float64 {
			return []float64{
				0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), math.Float64frombits(stale),
				math.Float64frombits(0x7ff0000000000001), math.Float64frombits(0xfff8000000000000),
				math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, math.MaxFloat64, -math.MaxFloat64, 1, -1, 1e-300, 1e300,
			}[i]
		})},
		{"jitter around every width of a delta of deltas", made(120, func(i int) sample {
			steps := []int64{
				1, 8191, 8192, 8193, 16384, 65535, 65536, 65537, 131072, 524287, 524288, 524289, 1_048_576, 1 << 33,
			}
			time += steps[random.Intn(len(steps))]
			return sample{time, float64(i)}
		})},
		{"the edges of each width, up and down", func() []sample {
			deltas := []int64{1_000_000}
			for _, bits := range []uint{14, 17, 20} {
				high := int64(1) << (bits - 1)
				for _, change := range []int64{high, -high + 1, high + 1, -high, high - 1, -high + 2} {
					deltas = append(deltas, deltas[len(deltas)-1]+change)
				}
			}
			at := int64(-5)
			return made(len(deltas), func(i int) sample { at += deltas[i]; return sample{at, float64(i % 3)} })
		}()},
		{"before 1970 and far from it", made(4, func(i int) sample {
			return sample{[]int64{-(1 << 53), -1, 0, 1 << 53}[i], float64(i)}
		})},
	}
	isXOR2 := len(os.Args) > 1 && os.Args[1] == "xor2"
	var chunks []golden
	for i, c := range cases {
		var chunk chunkenc.Chunk = chunkenc.NewXORChunk()
		if isXOR2 {
			chunk = chunkenc.NewXOR2Chunk()
			c.samples = withStale(i, c.samples)
		}
		appender, err := chunk.Appender()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		g := golden{Name: c.name}
		for k, s := range c.samples {
			appender.Append(startTime(isXOR2, i, k, s.time), s.time, s.value)
			g.Times = append(g.Times, strconv.FormatInt(s.time, 10))
			g.Values = append(g.Values, fmt.Sprintf("%016x", math.Float64bits(s.value)))
		}
		g.Chunk = base64.StdEncoding.EncodeToString(chunk.Bytes())
		chunks = append(chunks, g)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(chunks); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
