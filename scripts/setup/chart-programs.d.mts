/** The path of a program that set-up put into the cache; an error that says how to get it. */
export function findChartProgram(name: 'helm' | 'kustomize'): string;
