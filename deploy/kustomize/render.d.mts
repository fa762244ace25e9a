/** Every file that is made from the chart, by its path from here, with its text. */
export function rendered(): Promise<Readonly<Record<string, string>>>;
