const powers: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** Bytes of a Kubernetes quantity such as "10Gi" or "1.5G"; null for what is none, or has a fraction of a byte. */
export function quantityBytes(text: string): number | null {
  const match = /^([0-9]+(?:\.[0-9]+)?)(?:e([0-9]{1,2}))?([kMGTPE]|[KMGTPE]i)?$/.exec(text);
  if (match === null || (match[2] !== undefined && match[3] !== undefined)) return null;
  const bytes = Number(match[1]) * 10 ** Number(match[2] ?? 0) * (powers[match[3] ?? ''] ?? Number.NaN);
  return Number.isFinite(bytes) ? Math.floor(bytes) : null;
}
