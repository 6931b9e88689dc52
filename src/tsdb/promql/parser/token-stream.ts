/**
 * The tokens of a query as the grammar takes them: one token of lookahead, lexed no earlier than it is looked at, because the
 * first error counts, be it the lexer's or the grammar's.
 *
 * An unexpected token is reported in the words of the innermost construct that is being read ("in aggregation"). Constructs
 * may nest only so deep, since the grammar, the type check and the plan recurse into them.
 */
import { TsdbError } from "../../../base/errors.ts";
import { Lexer } from "../lexer.ts";
import type { ParserOptions } from "../lexer.ts";
import { syntaxError } from "./syntax-error.ts";
import { describe } from "./tokens.ts";
import type { Token, TokenKind } from "./tokens.ts";

/**
 * Parentheses, arguments, signs and powers in each other, ranges and modifiers of one operand, operators of a duration. Chains
 * such as a + b + c are not nested, however long.
 */
export const NESTING_MAX = 64;

export class TokenStream {
  readonly options: ParserOptions;
  readonly #query: string;
  readonly #lexer: Lexer;
  #next: Token | undefined;
  #lastEnd = 0;
  #construct = "";
  #nesting = 0;

  constructor(query: string, options: ParserOptions) {
    this.options = options;
    this.#query = query;
    this.#lexer = new Lexer(query, options);
  }

  /** Where the token taken last ends. */
  get lastEnd(): number {
    return this.#lastEnd;
  }

  peek(): Token {
    this.#next ??= this.#lexer.next();
    return this.#next;
  }

  take(): Token {
    const token = this.peek();
    this.#next = undefined;
    this.#lastEnd = token.end;
    return token;
  }

  takeIf(kind: TokenKind): Token | undefined {
    return this.peek().kind === kind ? this.take() : undefined;
  }

  expect(kind: TokenKind): Token {
    if (this.peek().kind !== kind) throw this.unexpected();
    return this.take();
  }

  /** @param construct overrides that of `within`: what is being read, and maybe what was expected */
  unexpected(construct = this.#construct): TsdbError {
    const token = this.peek();
    return this.error(token.start, `unexpected ${describe(token)}${construct}`);
  }

  error(position: number, message: string): TsdbError {
    return syntaxError(this.#query, position, message);
  }

  /** Reads a construct. @param construct as it ends a message: " in aggregation" */
  within<T>(construct: string, read: () => T): T {
    const outer = this.#construct;
    this.#construct = construct;
    const result = read();
    this.#construct = outer;
    return result;
  }

  /** Reads what is nested one level deeper. */
  nested<T>(read: () => T): T {
    this.#nesting++;
    this.limitNesting(0);
    const result = read();
    this.#nesting--;
    return result;
  }

  /** Refuses what a loop would nest so many levels deeper than here. */
  limitNesting(levels: number): void {
    if (this.#nesting + levels > NESTING_MAX)
      throw this.error(this.peek().start, `expression is nested more than ${NESTING_MAX} levels deep`);
  }
}
