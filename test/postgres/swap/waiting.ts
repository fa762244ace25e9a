/** A failpoint that stops there until it is woken. */
export function hangAt(where: string) {
  let tell: () => void = () => undefined;
  let wake: () => void = () => undefined;
  const reached = new Promise<void>((resolve) => (tell = resolve));
  const woken = new Promise<void>((resolve) => (wake = resolve));
  return {
    reached,
    wake: () => {
      wake();
    },
    failpoint: async (name: string) => {
      if (name !== where) return;
      tell();
      await woken;
    },
  };
}

/** Asks again until it holds. */
export async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
