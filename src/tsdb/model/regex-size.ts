/**
 * How large the program of a regular expression may become, told from its text: `a{1000}` is eight characters and a thousand
 * instructions, and compiling ten of them takes re2js half a second. Wrong patterns have some size, too; re2js refuses them.
 */
const REPEAT = /\{(\d+)(?:,(\d*))?\}/y;
/** From an opening bracket to the closing one, which stands for itself in the first place. */
const CLASS = /\[\^?\]?(?:\\.|\[:\w*:\]|[^\]\\])*\]/sy;
const ESCAPE = /\\(?:[pPx]\{[^}]*\}|.)/sy;

/** Instructions, give or take a few for each operator. */
export function programSizeOf(pattern: string): number {
  const outer: number[] = [];
  let size = 0;
  /** Of what a repetition would repeat. */
  let last = 0;
  for (let at = 0; at < pattern.length;) {
    const c = pattern[at]!;
    const repeat = c === "{" ? matchAt(REPEAT, pattern, at) : undefined;
    if (repeat !== undefined) {
      const [, least, most] = repeat;
      const added = last * (Math.max(Number(least), Number(most ?? 0), 1) - 1);
      size += added;
      last += added;
      at += repeat[0].length;
      continue;
    }
    if (c === "(") {
      outer.push(size);
      size = 0;
      last = 0;
    } else if (c === ")") {
      last = size + 2;
      size = (outer.pop() ?? 0) + last;
    } else {
      size++;
      last = "*+?".includes(c) ? last + 1 : 1;
    }
    at += (matchAt(CLASS, pattern, at) ?? matchAt(ESCAPE, pattern, at))?.[0].length ?? 1;
  }
  return outer.reduce((sum, part) => sum + part, size);
}

function matchAt(sticky: RegExp, text: string, at: number): RegExpExecArray | undefined {
  sticky.lastIndex = at;
  return sticky.exec(text) ?? undefined;
}
