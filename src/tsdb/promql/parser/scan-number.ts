/**
 * Where a number or duration ends. Prometheus scans numbers loosely (the value is parsed later, and may fail then) and in a
 * way that follows from no grammar, so this goes through the same motions: what it refuses, and how much of it the message
 * quotes, are to be the same.
 * @see Prometheus promql/parser/lex.go, scanNumber and acceptRemainingDuration
 */
export interface ScannedNumber {
  /** Undefined when it is neither; `end` is then where the scanner gave up. */
  readonly kind: "<number>" | "<duration>" | undefined;
  readonly end: number;
}

const DECIMAL = "0123456789";
const HEXADECIMAL = "0123456789abcdefABCDEF";

export function scanNumberOrDuration(text: string, start: number): ScannedNumber {
  const scanner = new Scanner(text, start);
  if (scanner.number()) return { kind: "<number>", end: scanner.at };
  if (scanner.restOfDuration()) return { kind: "<duration>", end: scanner.at };
  return { kind: undefined, end: scanner.at };
}

class Scanner {
  readonly #text: string;
  at: number;

  constructor(text: string, at: number) {
    this.#text = text;
    this.at = at;
  }

  number(): boolean {
    let digits = DECIMAL;
    if (this.#accept("0") && this.#accept("xX")) {
      this.#accept("_");
      digits = HEXADECIMAL;
    }
    this.#accept(".");
    this.#accept(digits);
    let sawDot = false;
    let sawExponent = false;
    while (this.#isNext(`${digits}._eE`)) {
      if (this.#isNext(".")) {
        const isSecond = sawDot;
        sawDot = true;
        this.at++;
        if (isSecond || this.#accept("_.") || digits === HEXADECIMAL) return false;
      } else if (this.#isNext("eE")) {
        const isSecond = sawExponent;
        sawExponent = true;
        this.at++;
        if (isSecond) return false;
        this.#accept("+-");
        if (this.#accept("._eE") || this.#isAtEnd) return false;
      } else if (this.#accept("_")) {
        if (this.#accept("._eE") || this.#isAtEnd) return false;
      } else {
        this.#acceptRun(digits);
      }
    }
    return !this.#isNextInWord();
  }

  /** The units of a duration, and further digits and units, after its first digits. */
  restOfDuration(): boolean {
    if (!this.#accept("smhdwy")) return false;
    this.#accept("s");
    while (this.#accept(DECIMAL)) {
      this.#acceptRun(DECIMAL);
      if (!this.#accept("smhdw")) return false;
      this.#accept("s");
    }
    if (!this.#isNextInWord()) return true;
    this.at++;
    return false;
  }

  get #isAtEnd(): boolean {
    return this.at >= this.#text.length;
  }

  #isNext(valid: string): boolean {
    return !this.#isAtEnd && valid.includes(this.#text[this.at]!);
  }

  #isNextInWord(): boolean {
    return !this.#isAtEnd && /[A-Za-z0-9_]/.test(this.#text[this.at]!);
  }

  #accept(valid: string): boolean {
    if (!this.#isNext(valid)) return false;
    this.at++;
    return true;
  }

  #acceptRun(valid: string): void {
    while (this.#accept(valid));
  }
}
