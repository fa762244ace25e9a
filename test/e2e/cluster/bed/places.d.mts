/** As places.mjs says. */
export const places: Readonly<
  Record<'top' | 'bin' | 'build' | 'images' | 'manifests' | 'log' | 'state' | 'run', string>
>;
