/** Every version that the bed is built from, in one place. All are published Go modules, whose checksums Go verifies. */

/** The last minor whose kubelet takes cgroup v1 as it is; v2 works too. */
export const KUBERNETES = 'v1.34.4';
/** The staging modules (k8s.io/api and its like) that KUBERNETES was made with. */
export const KUBERNETES_STAGING = 'v0.34.4';
export const ETCD = 'v3.6.16';
export const COREDNS = 'v1.14.7';
export const LOCAL_PATH_PROVISIONER = 'v0.0.30';
/** The last minor that still has `barmanObjectStore` in the Cluster itself. */
export const CLOUDNATIVE_PG = 'v1.30.0';
/** Later ones need modules that aren't published. */
export const BARMAN_PLUGIN = 'v0.13.0';

/** The PostgreSQL majors of the images, with the Debian release whose archive holds them. */
export const POSTGRES = [
  { major: 17, suite: 'trixie', optional: false },
  { major: 18, suite: 'sid', optional: true },
];
