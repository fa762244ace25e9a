/** How the image is run. */
export const config: {
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
};

/** The list of packages, with a line for each major version of PostgreSQL. */
export function packagesFor(majors: readonly number[]): readonly string[];
