/** The README object of a repository: how to restore with stock tools on the day that Holdfast can't be had. */
export const readmeText = `BACKUPS OF POSTGRESQL, WRITTEN BY HOLDFAST
==========================================

Nothing but stock tools is needed to restore what lies here: psql, zcat (for
files that end in .zst: zstdcat), tail, head and sha256sum. jq is used below to
read the manifests; they are plain JSON, so any editor will do.

WHAT LIES HERE
  holdfast.json              marks this directory as a repository. While it is
                             missing Holdfast writes and deletes nothing.
  NAME.sql.gz                a backup: SQL text, gzip. What pg_dumpall writes.
  NAME.globals.sql.gz        a backup of method pg_dump: roles, tablespaces and
                             every database, empty, with its properties;
  NAME.DATABASE.dump         and an archive for pg_restore for each database
  NAME.DATABASE.tar          (.tar: a tar of pg_dump's directory format). The
                             manifest says which is which.
  NAME.manifest.json         says that NAME is whole, and describes it. A file
                             without a manifest is not a backup of Holdfast: it
                             was never finished, or somebody else put it there.
  NAME.tombstone.json        NAME is being deleted.
  CLUSTER/physical, /wal     base backups and write-ahead logs: see 4.
  .holdfast-staged.*         files that are being written, or were left by a
  .holdfast-staged/          worker that died; Holdfast removes them.

Dates in names are UTC. The files hold password hashes: guard them.
psql does whatever a dump says: restore only files that you trust, and check
their digests first.

If this is a bucket, copy what you need into a directory first, under the
paths that it has here. Any S3 tool will do; for a store other than AWS this
one wants --endpoint-url too:

     aws s3 cp s3://BUCKET/PREFIX/PATH/ PATH/ --recursive \\
       --exclude '*' --include 'NAME.*'

1. CHECK A BACKUP
   In the directory of holdfast.json (the manifest names files from there):

     M=PATH/NAME.manifest.json
     jq -r '.objects[] | .sha256 + "  " + .key' "$M" | sha256sum -c

   "status" in the manifest has to be "complete". If it is "partial", the
   "databases" with "status": "failed" are not in it.

2. RESTORE EVERYTHING INTO AN EMPTY CLUSTER
   As a superuser, with a psql that is not older than the server in the
   manifest ("server"):

     zcat NAME.sql.gz | psql -X -d postgres > restore.log 2> restore.err

   Read restore.err afterwards, psql does not stop at errors. To be expected is
   'role "postgres" already exists', and the same for roles and databases that
   the new cluster came with. Everything else matters. Then:

     vacuumdb --all --analyze-only

   Of a backup of method pg_dump, take its globals first, then each archive:

     zcat NAME.globals.sql.gz | psql -X -d postgres > restore.log 2> restore.err
     export PGOPTIONS='-c default_transaction_read_only=off'
     pg_restore -j 2 -d gatus NAME.gatus.dump
     mkdir gatus && tar -xf NAME.gatus.tar -C gatus
     pg_restore -j 2 -d gatus gatus

3. RESTORE ONE DATABASE
   From an archive: createdb -T template0 gatus_restored, then pg_restore into
   it as above. From NAME.sql.gz:

   The file is a sequence of gzip members: roles and tablespaces first, then
   for every database its properties (CREATE DATABASE, settings, privileges)
   and its content. Each can be cut out; the manifest says where it lies:

     jq -r '.parts[] | [.name, .database, .offset, .length, .sha256] | @tsv' \\
       NAME.manifest.json

   Take offset, length and sha256 of the line that begins with "content" and
   names your database:

     OFFSET=... LENGTH=...
     tail -c +$((OFFSET + 1)) NAME.sql.gz | head -c $LENGTH | sha256sum

   That has to be the part's sha256. Restore beside the old database, never over
   it; encoding, collate and ctype stand under "databases" in the manifest:

     createdb -T template0 -E UTF8 -O OWNER gatus_restored
     tail -c +$((OFFSET + 1)) NAME.sql.gz | head -c $LENGTH | zcat \\
       | psql -X -v ON_ERROR_STOP=1 -d gatus_restored
     psql -d gatus_restored -c ANALYZE

   The roles that own its objects must exist. If some are missing, read them out
   of the part named "globals", cut out likewise.

   When you have looked at the copy, swap: end the sessions of both, then

     BEGIN;
     ALTER DATABASE gatus RENAME TO gatus_old;
     ALTER DATABASE gatus_restored RENAME TO gatus;
     COMMIT;

   Owner, privileges, connection limit, comment and ALTER DATABASE ... SET do
   not come with the content: see the part named "properties" of the database.

4. RECOVER A BASE BACKUP TO A POINT IN TIME
   CLUSTER/physical/SYSTEM/ID/ holds a base backup: base.tar.zst, the data
   directory; a tar for each tablespace, named after its OID; backup_manifest;
   conf.tar, the server's configuration. CLUSTER/wal/SYSTEM/TIMELINE/ holds the
   write-ahead log, a file for each segment, and CLUSTER/wal/SYSTEM/ the
   .history file of each timeline.

   Needed are zstd and PostgreSQL of the same major version, as the user that
   runs it, on a machine where no server of this cluster still runs:

     BASE=/backup/CLUSTER/physical/SYSTEM/ID WAL=/backup/CLUSTER/wal/SYSTEM
     mkdir -m 700 data
     zstd -dc "$BASE/base.tar.zst" | tar -x -C data
     cp "$BASE/backup_manifest" data/
     pg_verifybackup -n data

   Where tablespace_map is in data, unpack each OID.tar.zst into a new directory
   and write that directory into tablespace_map: the old ones may still be in
   use. Of an incremental backup ("parent" in its manifest.json) unpack it and
   all that it builds on, each into a directory of its own, the full one first:

     pg_combinebackup FULL INCREMENT ... -o data

   Then tell PostgreSQL where its log is and where to stop (see "Recovery
   Target" in its manual; without a target it goes to the end and opens):

     cat > data/fetch-wal <<'END'
     case $2 in
       *.history) cp "$1/$2" "$3" ;;
       *) zstd -dc "$1/$(echo "$2" | cut -c1-8)/$2.zst" > "$3" ;;
     esac
     END
     echo "archive_mode = off
     restore_command = 'sh fetch-wal $WAL %f %p'
     recovery_target_time = '2026-11-21 14:00:00+09'
     recovery_target_action = pause" >> data/postgresql.auto.conf
     touch data/recovery.signal

   and start it. Look at it, then: psql -c 'SELECT pg_wal_replay_resume()'.

5. IF holdfast.json IS MISSING
   Most often that means that the disk or share is not mounted, and this is the
   empty directory under it. If this really is the repository, put the marker
   back, with the old id if you know it:

     ID=$(cat /proc/sys/kernel/random/uuid) NOW=$(date -u +%FT%TZ)
     echo "{\\"format\\":1,\\"id\\":\\"$ID\\",\\"createdAt\\":\\"$NOW\\"}" > holdfast.json
`;
