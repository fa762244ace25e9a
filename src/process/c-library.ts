/**
 * Version of the GNU C library that this process runs with ("2.36"), which is what PostgreSQL on the same machine gives
 * as the version of libc's collations; null with another C library.
 */
export function glibcVersion(): string | null {
  const { header } = process.report.getReport() as { readonly header: { readonly glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime ?? null;
}
