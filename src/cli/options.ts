import { InvalidArgumentError } from 'commander';

/** Readers of option values. What they can't take ends as wrong usage, before anything is connected to. */

export function positiveInteger(text: string): number {
  if (!/^[1-9][0-9]{0,5}$/.test(text)) throw new InvalidArgumentError('expected a whole number from 1 on.');
  return Number(text);
}

/** host:port or [address]:port */
export function address(text: string): string {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})$/.exec(text);
  if (!match || Number(match[2]) > 65_535) throw new InvalidArgumentError('expected host:port.');
  return text;
}

/** The first 12 digits of a plan's digest, or more of them. */
export function planDigits(text: string): string {
  if (!/^[0-9a-f]{12,64}$/.test(text))
    throw new InvalidArgumentError('expected at least the first 12 digits of the plan, as printed with it.');
  return text;
}

/** "30s", "15m", "24h" in milliseconds. */
export function duration(text: string): number {
  const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };
  const match = /^([0-9]{1,6})([smh])$/.exec(text);
  const unit = units[match?.[2] ?? ''];
  if (!match || unit === undefined)
    throw new InvalidArgumentError('expected a whole number and a unit, such as 30s or 15m.');
  return Number(match[1]) * unit;
}

/** A text that says something. */
export function words(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('expected a text that is not empty.');
  return text.trim();
}

/** Names of Kubernetes namespaces, as often as the option is given. */
export function namespaceName(text: string, before: readonly string[] | undefined): readonly string[] {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text))
    throw new InvalidArgumentError("expected a namespace's name.");
  return [...(before ?? []), text];
}

/** Site names, as often as the option is given. */
export function siteName(text: string, before: readonly string[] | undefined): readonly string[] {
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text))
    throw new InvalidArgumentError('expected lowercase letters, digits and hyphens.');
  return [...new Set([...(before ?? []), text])];
}

/** An option that may be given several times. */
export const collected = (value: string, earlier: readonly string[] | undefined): readonly string[] => [
  ...(earlier ?? []),
  value,
];
