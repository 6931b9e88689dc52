/** Label matchers: what a selector asks of each label. A label that a series does not have counts as the empty string. */
export type MatcherType = "=" | "!=" | "=~" | "!~";

export interface Matcher {
  readonly type: MatcherType;
  readonly name: string;
  /** A literal, or an RE2 pattern that must match the whole value (`.` also matches line breaks). */
  readonly value: string;
}
