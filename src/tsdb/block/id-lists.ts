/** Sets of series ids as ascending arrays without repeats, which is how postings come. */

/** The ids of all lists, of which no two have one in common. */
export function union(lists: readonly Uint32Array[]): Uint32Array {
  if (lists.length === 1) return lists[0]!;
  const all = new Uint32Array(lists.reduce((length, list) => length + list.length, 0));
  let at = 0;
  let isAscending = true;
  for (const list of lists) {
    if (at > 0 && list.length > 0 && list[0]! < all[at - 1]!) isAscending = false;
    all.set(list, at);
    at += list.length;
  }
  return isAscending ? all : all.sort();
}

/** The ids that are in all of one or more lists. */
export function intersection(lists: readonly Uint32Array[]): Uint32Array {
  const [smallest, ...others] = lists.toSorted((a, b) => a.length - b.length);
  return others.reduce((found, list) => select(found, list, true), smallest!);
}

export const difference = (from: Uint32Array, without: Uint32Array): Uint32Array => select(from, without, false);

/** The ids of a list that are in another, or that are not. */
function select(list: Uint32Array, other: Uint32Array, wanted: boolean): Uint32Array {
  const found = new Uint32Array(list.length);
  let count = 0;
  let at = 0;
  for (let i = 0; i < list.length; i++) {
    const id = list[i]!;
    at = lowerBound(other, at, id);
    if ((other[at] === id) === wanted) found[count++] = id;
  }
  return found.subarray(0, count);
}

/**
 * The first place, not before `from`, of an id that is not below `id`. Gallops: the way to it costs the logarithm of how far
 * it is, so that a short list goes through a long one in few steps, and two of one length side by side.
 */
function lowerBound(ids: Uint32Array, from: number, id: number): number {
  let step = 1;
  let low = from;
  let high = from;
  while (high < ids.length && ids[high]! < id) {
    low = high + 1;
    high += step;
    step *= 2;
  }
  high = Math.min(high, ids.length);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ids[middle]! < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
