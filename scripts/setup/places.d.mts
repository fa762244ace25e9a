export const SUITES: Readonly<Record<number, string>>;
export function cacheDirectory(): string;
export function findProgram(name: string): string | undefined;
export function cachedTemporal(): string;
export type FoundTemporal =
  | { readonly source: 'given'; readonly address: string; readonly binary: string | undefined }
  | { readonly source: 'path' | 'cache'; readonly binary: string };
export function findTemporal(): FoundTemporal | undefined;
export function findVersitygw(): string | undefined;
export function postgresRoot(major: number): string;
export function postgresRootExcuse(major: number): string;
export function nativeMajors(): number[];
export function availableMajors(): number[];
export function findPostgres(major: number): { readonly root: string; readonly binDir: string } | undefined;
export function binBelow(root: string, major: number): string;
