/**
 * A hash of samples that is the same however they are cut into chunks and whatever encodes them: each is mixed to 64
 * bits by itself, and those are added up, modulo 2^64. So pieces of a series may be hashed apart and added, and series
 * too, each with a seed made of its labels; a block without overlaps has the sum of its sources' hashes.
 * Against mistakes and damage, not against somebody who looks for collisions.
 */

/** The constants of SplitMix64. */
const MIX_1: u64 = 0xbf58_476d_1ce4_e5b9;
const MIX_2: u64 = 0x94d0_49bb_1331_11eb;

/**
 * @param seed the series' own
 * @returns the sum over all samples; another value, time or seed of any one changes it
 */
export function hashSamples(times: usize, values: usize, count: u32, seed: u64): u64 {
  let sum: u64 = 0;
  const bytes = usize(count) << 3;
  for (let at: usize = 0; at < bytes; at += 8) {
    // Time, seed and value come in at different steps: what one of them loses another must not make up for.
    let mixed = load<u64>(times + at) * MIX_1;
    mixed = (mixed ^ (mixed >> 31) ^ seed) * MIX_2;
    mixed = (mixed ^ (mixed >> 29)) + load<u64>(values + at);
    mixed = (mixed ^ (mixed >> 30)) * MIX_1;
    mixed = (mixed ^ (mixed >> 27)) * MIX_2;
    sum += mixed ^ (mixed >> 31);
  }
  return sum;
}
