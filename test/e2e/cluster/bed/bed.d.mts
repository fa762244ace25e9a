/** As bed.mjs says. */
export function bringUp(): Promise<{ readonly letGo: () => Promise<void> }>;
