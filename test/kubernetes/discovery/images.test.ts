import { describe, expect, test } from '@jest/globals';
import { isServerImage, proxyOf, versionOfImage } from '../../../src/kubernetes/discovery/images.ts';

describe('an image', () => {
  test.each([
    ['postgres:17', '17'],
    ['postgres:16.10-alpine3.22', '16.10'],
    ['docker.io/library/postgres', undefined],
    ['postgres:latest', undefined],
    ['postgres@sha256:17aa', undefined],
    ['registry.example.com:5000/team/postgres:18.1@sha256:17aa', '18.1'],
    ['docker.io/bitnamilegacy/postgresql:16.4.0-debian-12-r9', '16.4'],
    ['pgvector/pgvector:0.8.0-pg17', '17'],
    ['timescale/timescaledb:2.17.2-pg16', '16'],
    ['timescale/timescaledb-ha:pg17.2-ts2.17', '17'],
    ['ghcr.io/zalando/spilo-17:4.0-p2', '17'],
    ['postgis/postgis:16-3.4', '16'],
    ['registry.redhat.io/rhel9/postgresql-15:latest', '15'],
    ['registry.developers.crunchydata.com/crunchydata/crunchy-postgres:ubi9-17.5-2520', '17.5'],
    ['supabase/postgres:15.8.1.060', '15.8'],
  ])('%s is of a server, version %s', (image, version) => {
    expect(isServerImage(image)).toBe(true);
    expect(versionOfImage(image)).toBe(version);
  });

  test.each([
    'quay.io/prometheuscommunity/postgres-exporter:v0.17',
    'ghcr.io/cloudnative-pg/pgbouncer:1.24.1',
    'postgrest/postgrest:v12',
    'supabase/postgres-meta:v0.84',
    'ghcr.io/zalando/postgres-operator:v1.14',
    'prodrigestivill/postgres-backup-local:17',
    'dpage/pgadmin4:9',
    'postgres/tools/migrate-postgres:1',
    'mysql:8',
    '',
  ])('%s is of none', (image) => {
    expect(isServerImage(image)).toBe(false);
  });

  test.each([
    ['bitnami/pgpool:4', 'pgpool'],
    ['edoburu/pgbouncer:v1.24.1', 'pgbouncer'],
    ['postgres:17', undefined],
  ])('%s stands before servers as %s', (image, what) => {
    expect(proxyOf(image)).toBe(what);
  });
});
